//! What a container's start takes longer because it is on an overlay network.

use std::thread;
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
/// After a removal, until the kernel has done what that leaves to it.
const SETTLE: Duration = Duration::from_millis(200);
/// The engine's default network, and one of a user's own. On the latter the engine runs a resolver for each container,
/// as it does on an overlay network.
const DEFAULT: &str = "bridge";
const USERS: &str = "bench-bridge";

/// Added milliseconds on an overlay network, as the median of paired differences from the engine's default bridge. All are the
/// calls `create` and `start` of a user's container, sent to swarmrsd or to the stock swarm. The detail says how long a start
/// is on the default bridge, and how much the engine itself takes for any network but that.
pub fn take(runs: usize, options: &Options) -> Result<Taken, Error> {
    let ours = overlay::start(options, &[], &[])?;
    let stock = overlay::start(&options.reference(), &[], &[])?;
    let (ours, stock) = (ours.host(0), stock.host(0));
    ours.engine_docker(&["network", "create", USERS])?
        .success()?;
    let places = [
        (ours, overlay::NETWORK),
        (ours, DEFAULT),
        (ours, USERS),
        (stock, DEFAULT),
        (stock, overlay::NETWORK),
    ];
    let mut taken = Taken::default();
    let (mut on_default, mut on_users) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let rounds = (0..ROUNDS).map(|round| times(&places, round));
        let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
        if run == 0 {
            continue;
        }
        let middle = |pick: fn(&[f64; 5]) -> f64| median(rounds.iter().map(pick).collect());
        taken.samples.push(Sample {
            ours: middle(|[overlay, default, ..]| overlay - default),
            stock: Some(middle(|[.., default, overlay]| overlay - default)),
            floor: None,
        });
        on_default.push(middle(|[_, default, ..]| *default));
        on_users.push(middle(|[_, default, users, ..]| users - default));
    }
    let (on_default, on_users) = (median(on_default), median(on_users));
    taken.detail.push(format!(
        "a start on the default bridge takes {on_default:.1} ms, a bridge of a user's adds {on_users:.1} ms"
    ));
    Ok(taken)
}

/// Milliseconds of one start at each place. Which goes first changes from round to round, and so does the direction.
fn times<const N: usize>(places: &[(&Host, &str); N], round: usize) -> Result<[f64; N], Error> {
    let mut times = [0.0; N];
    for turn in 0..N {
        let turn = if round.is_multiple_of(2) {
            turn
        } else {
            N - turn
        };
        let which = (round + turn) % N;
        let (host, network) = places[which];
        times[which] = started(host, network)?;
    }
    Ok(times)
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
    thread::sleep(SETTLE);
    Ok(took)
}
