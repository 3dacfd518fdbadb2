//! What a container's start takes longer because it is on one of our networks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::report::median;
use super::{Sample, Taken, create, overlay};
use crate::http::Connection;
use crate::testbed::{IMAGE, unique};
use crate::{Error, Host, Options};

const LIMIT: Duration = Duration::from_secs(60);
/// Starts on each network in one run.
const ROUNDS: usize = 5;
/// The engine's default network, and one of a user's own. On the latter the engine runs a resolver for each container,
/// as it does on ours.
const DEFAULT: &str = "bridge";
const USERS: &str = "bench-bridge";

/// Added milliseconds, as the median of paired differences; the floor is the start on the engine's default bridge. All are
/// the calls `create` and `start` of a user's container, sent to swarmrsd. The detail says how much of it the engine takes for
/// any network but its default one.
pub fn take(runs: usize, ours: &Options) -> Result<Taken, Error> {
    let testbed = overlay::start(ours, &[], &[])?;
    let host = testbed.host(0);
    host.engine_docker(&["network", "create", USERS])?
        .success()?;
    let mut taken = Taken::default();
    let mut of_engine = Vec::new();
    for run in 0..=runs {
        let round = (0..ROUNDS).map(|round| times(host, round));
        let rounds = round.collect::<Result<Vec<_>, _>>()?;
        if run == 0 {
            continue;
        }
        let middle = |pick: fn(&Times) -> f64| median(rounds.iter().map(pick).collect());
        taken.samples.push(Sample {
            ours: middle(|times| times.overlay - times.default),
            stock: None,
            floor: Some(middle(|times| times.default)),
        });
        of_engine.push(middle(|times| times.users - times.default));
    }
    let of_engine = median(of_engine);
    taken.detail.push(format!(
        "a bridge network of users adds {of_engine:.1} ms to the default bridge"
    ));
    Ok(taken)
}

/// Milliseconds of one start on each network.
struct Times {
    overlay: f64,
    default: f64,
    users: f64,
}

/// Which goes first changes from round to round.
fn times(host: &Host, round: usize) -> Result<Times, Error> {
    let networks = [overlay::NETWORK, DEFAULT, USERS];
    let mut times = [0.0; 3];
    for turn in 0..networks.len() {
        let which = (round + turn) % networks.len();
        times[which] = started(host, networks[which])?;
    }
    let [overlay, default, users] = times;
    Ok(Times {
        overlay,
        default,
        users,
    })
}

/// Milliseconds until a container on the network has started; it is removed outside the time taken.
fn started(host: &Host, network: &str) -> Result<f64, Error> {
    let mut connection = Connection::open(&host.socket(), LIMIT)?;
    let mut send = |method, target: &str, body: Option<&Value>| {
        create::send(&mut connection, method, target, body)
    };
    let config = json!({
        "Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": network},
    });
    let began = Instant::now();
    let target = format!("/containers/create?name={}", unique("start"));
    let created = send("POST", &target, Some(&config))?;
    let id = created["Id"].as_str().unwrap_or_default();
    send("POST", &format!("/containers/{id}/start"), None)?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    send("DELETE", &format!("/containers/{id}?force=1"), None)?;
    Ok(took)
}
