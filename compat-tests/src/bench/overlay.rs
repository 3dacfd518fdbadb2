//! A swarm with an overlay network, a service on it and a container beside it: where rows of the network stand.

use std::net::IpAddr;

use serde_json::Value;

use super::init;
use super::space::Space;
use crate::observe::{task_containers, wait_for_replicas};
use crate::testbed::IMAGE;
use crate::{Error, Host, Options, Testbed};

pub(super) const NETWORK: &str = "bench";
pub(super) const SERVICE: &str = "server";

/// A host with an attachable overlay network and on it a service of one task that only sleeps.
pub(super) fn start(
    ours: &Options,
    network_flags: &[&str],
    flags: &[&str],
) -> Result<Testbed, Error> {
    let testbed = Testbed::hosts(1, ours)?;
    let host = testbed.host(0);
    init(host)?;
    let network = ["network", "create", "--driver", "overlay", "--attachable"];
    docker(host, &[&network[..], network_flags, &[NETWORK]].concat())?;
    let create = ["service", "create", "--detach", "--stop-signal", "KILL"];
    let on = ["--name", SERVICE, "--network", NETWORK];
    let sleep = [IMAGE, "sleep", "86400"];
    docker(host, &[&create[..], &on, flags, &sleep].concat())?;
    wait_for_replicas(host, SERVICE, "1/1")?;
    Ok(testbed)
}

/// Starts a container that only sleeps, through swarmrsd or past it, and enters its network.
pub(super) fn sleeper(host: &Host, through_us: bool, flags: &[&str]) -> Result<Space, Error> {
    let run = ["run", "--detach"];
    let run = [&run[..], flags, &[IMAGE, "sleep", "86400"]].concat();
    let output = match through_us {
        true => host.docker(&run)?,
        false => host.engine_docker(&run)?,
    };
    Space::of_container(host, output.success()?)
}

/// The network of the service's task.
pub(super) fn task(host: &Host) -> Result<Space, Error> {
    Space::of_container(host, &task_container(host)?)
}

/// The address of the service's task on the network.
pub(super) fn task_address(host: &Host) -> Result<IpAddr, Error> {
    let target = format!("/containers/{}/json", task_container(host)?);
    let inspected = host.engine_api("GET", &target, None)?.success()?;
    address(&inspected["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])
}

/// The virtual address of the service on the network.
pub(super) fn virtual_address(host: &Host) -> Result<IpAddr, Error> {
    let get = |target: String| host.api("GET", &target, None)?.success();
    let network = get(format!("/networks/{NETWORK}"))?;
    let service = get(format!("/services/{SERVICE}"))?;
    let mut all = service["Endpoint"]["VirtualIPs"]
        .as_array()
        .into_iter()
        .flatten();
    let on = all.find(|one| one["NetworkID"] == network["Id"]);
    address(on.map_or(&Value::Null, |one| &one["Addr"]))
}

fn task_container(host: &Host) -> Result<String, Error> {
    let containers = task_containers(host, SERVICE)?;
    let running = containers.into_iter().find(|one| one.running);
    let none = || Error::Setup(format!("no task of {SERVICE} runs"));
    Ok(running.ok_or_else(none)?.container)
}

/// An address as the API writes it, with or without the length of its subnet's prefix.
fn address(value: &Value) -> Result<IpAddr, Error> {
    let text = value.as_str().unwrap_or_default();
    let host = text.split('/').next().unwrap_or_default();
    let unfit = |_| Error::Answer(format!("{value} is no address"));
    host.parse().map_err(unfit)
}

fn docker(host: &Host, args: &[&str]) -> Result<(), Error> {
    host.docker(args)?.success().map(drop)
}
