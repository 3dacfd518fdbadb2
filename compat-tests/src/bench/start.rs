//! What a container's start takes longer because it is on one of our networks.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::report::median;
use super::{Sample, create, overlay};
use crate::http::Connection;
use crate::testbed::{IMAGE, unique};
use crate::{Error, Host, Options};

const LIMIT: Duration = Duration::from_secs(60);
/// Pairs in one run.
const PAIRS: usize = 7;

/// Added milliseconds, as the median of paired differences; the floor is the start on the engine's default bridge. Both are
/// the calls `create` and `start` of a user's container, sent to swarmrsd.
pub fn take(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let testbed = overlay::start(ours, &[], &[])?;
    let host = testbed.host(0);
    let samples = (0..=runs).map(|_| paired(host));
    Ok(samples.collect::<Result<Vec<_>, _>>()?.split_off(1))
}

fn paired(host: &Host) -> Result<Sample, Error> {
    let (mut added, mut alone) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let (ours, floor) = if pair % 2 == 0 {
            let ours = started(host, overlay::NETWORK)?;
            (ours, started(host, "bridge")?)
        } else {
            let floor = started(host, "bridge")?;
            (started(host, overlay::NETWORK)?, floor)
        };
        added.push(ours - floor);
        alone.push(floor);
    }
    Ok(Sample {
        ours: median(added),
        stock: None,
        floor: Some(median(alone)),
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
