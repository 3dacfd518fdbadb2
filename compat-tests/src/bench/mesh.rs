//! A published port of a service beside one that the engine publishes for a container, asked from outside the host.

use std::net::{IpAddr, SocketAddr};

use super::report::median;
use super::space::Space;
use super::traffic::{Measure, Server, compare};
use super::{Sample, Taken, overlay};
use crate::testbed::HUB_ADDRESS;
use crate::{Error, Host, Options};

const PORT: u16 = 80;
const PUBLISHED: u16 = 18080;
const OF_USERS: u16 = 18081;
const OF_DEFAULT: u16 = 18082;
/// A network of the engine's as users make them. On it, as on ours, the engine runs a resolver for each container, and
/// for the sake of its rules the kernel keeps track of all flows of the container. It does not on the default bridge.
const USERS: &str = "bench-bridge";

/// The client is on the hub, whose address the service's task must see as it is. The floor is the engine's own rewriting
/// of addresses for a container on a bridge of a user's; neither way passes a program. The detail says what the
/// container's tracking costs: how the floor, and ours, are beside a container on the default bridge.
pub fn take(measure: Measure, runs: usize, ours: &Options) -> Result<Taken, Error> {
    let testbed = overlay::start(ours, &[], &["--publish", &format!("{PUBLISHED}:{PORT}")])?;
    let host = testbed.host(0);
    host.engine_docker(&["network", "create", USERS])?
        .success()?;
    let server = Server::start(&overlay::task(host)?, PORT)?;
    let _of_users = engines(host, USERS, OF_USERS)?;
    let _of_default = engines(host, "bridge", OF_DEFAULT)?;
    let client = Space::of_process(&testbed.hub_pid().to_string())?;
    let address: IpAddr = host
        .address()
        .parse()
        .map_err(|_| Error::Setup(format!("{} is no address", host.address())))?;
    let beside = |one, other| {
        let at = |port| SocketAddr::from((address, port));
        compare(&client, measure, at(one), at(other))
    };
    let mut taken = Taken::default();
    let (mut default, mut users) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let (ours, floor) = beside(PUBLISHED, OF_USERS)?;
        let (ours_then, default_then) = beside(PUBLISHED, OF_DEFAULT)?;
        let (users_then, default_again) = beside(OF_USERS, OF_DEFAULT)?;
        if run == 0 {
            continue;
        }
        taken.samples.push(Sample {
            ours,
            stock: None,
            floor: Some(floor),
        });
        default.push(ours_then / default_then);
        users.push(users_then / default_again);
    }
    taken.detail.push(format!(
        "beside the default bridge: ours {:.3}, a bridge of a user's {:.3}",
        median(default),
        median(users),
    ));
    match server.last_client() {
        Some(IpAddr::V4(seen)) if seen == HUB_ADDRESS => Ok(taken),
        seen => Err(Error::Setup(format!(
            "the task took its client for {seen:?}, which is {HUB_ADDRESS}"
        ))),
    }
}

/// A server in a container that swarmrsd knows nothing of, on a network of the engine's, with a port that it publishes.
fn engines(host: &Host, network: &str, port: u16) -> Result<Server, Error> {
    let publish = format!("{port}:{PORT}");
    let flags = ["--network", network, "--publish", &publish];
    Server::start(&overlay::sleeper(host, false, &flags)?, PORT)
}
