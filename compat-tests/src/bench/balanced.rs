//! What the way over a service's virtual address costs beside the way to its task.
//!
//! Both ways lead from one container to the same task on the same overlay network, so they differ by the rules alone.

use std::net::SocketAddr;

use super::traffic::{Measure, Server, compare};
use super::{Sample, overlay};
use crate::{Error, Options};

const PORT: u16 = 80;

/// One look after another over both ways; the floor is the task's own address.
pub fn take(measure: Measure, runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let testbed = overlay::start(ours, &[], &[])?;
    let host = testbed.host(0);
    let _server = Server::start(&overlay::task(host)?, PORT)?;
    let client = overlay::sleeper(host, true, &["--network", overlay::NETWORK])?;
    let balanced = SocketAddr::from((overlay::virtual_address(host)?, PORT));
    let direct = SocketAddr::from((overlay::task_address(host)?, PORT));
    let samples = (0..=runs).map(|_| {
        let (ours, floor) = compare(&client, measure, balanced, direct)?;
        Ok(Sample {
            ours,
            stock: None,
            floor: Some(floor),
        })
    });
    Ok(samples.collect::<Result<Vec<_>, Error>>()?.split_off(1))
}
