//! A published port of a service beside one that the engine publishes for a container, asked from outside the host.

use std::net::{IpAddr, SocketAddr};

use super::space::Space;
use super::traffic::{Measure, Server, compare};
use super::{Sample, overlay};
use crate::testbed::HUB_ADDRESS;
use crate::{Error, Options};

const PORT: u16 = 80;
const PUBLISHED: u16 = 18080;
const ENGINES: u16 = 18081;

/// The client is on the hub, whose address the service's task must see as it is. The floor is the engine's own rewriting
/// of addresses for a container on its default bridge; neither way passes a program.
pub fn take(measure: Measure, runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let testbed = overlay::start(ours, &[], &["--publish", &format!("{PUBLISHED}:{PORT}")])?;
    let host = testbed.host(0);
    let server = Server::start(&overlay::task(host)?, PORT)?;
    let publish = ["--publish", &format!("{ENGINES}:{PORT}")];
    let _engines = Server::start(&overlay::sleeper(host, false, &publish)?, PORT)?;
    let client = Space::of_process(&testbed.hub_pid().to_string())?;
    let address: IpAddr = host
        .address()
        .parse()
        .map_err(|_| Error::Setup(format!("{} is no address", host.address())))?;
    let at = |port| SocketAddr::from((address, port));
    let mut samples = Vec::new();
    for _ in 0..=runs {
        let (ours, floor) = compare(&client, measure, at(PUBLISHED), at(ENGINES))?;
        samples.push(Sample {
            ours,
            stock: None,
            floor: Some(floor),
        });
    }
    match server.last_client() {
        Some(IpAddr::V4(seen)) if seen == HUB_ADDRESS => Ok(samples.split_off(1)),
        seen => Err(Error::Setup(format!(
            "the task took its client for {seen:?}, which is {HUB_ADDRESS}"
        ))),
    }
}
