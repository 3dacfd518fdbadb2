//! Nothing is left of networks, services and containers that came and went: fifty times, some of them side by side.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::web::remove_network;
use swarmrs_compat_tests::{Host, Testbed, wait};

/// Cycles at a time, and how often.
const LANES: usize = 5;
const CYCLES: usize = 10;
const SOON: Duration = Duration::from_secs(60);
/// Connections to the engine end when nobody has needed them for a while.
const IDLE: Duration = Duration::from_secs(180);
/// Descriptors that come and go by themselves: connections to the engine that are kept for the next question.
const PASSING: usize = 8;

/// A network, on it a service with a published port and a container of a user; then all of it is removed.
fn cycle(host: &Host, lane: usize) {
    let (network, service) = (format!("net-{lane}"), format!("web-{lane}"));
    let container = format!("visitor-{lane}");
    host.docker_ok(&[
        "network",
        "create",
        "--driver",
        "overlay",
        "--attachable",
        &network,
    ]);
    let published = format!("{}:80", 18_100 + lane);
    let what = [
        "--name",
        &service,
        "--network",
        &network,
        "--publish",
        &published,
    ];
    host.docker_ok(&[&CREATE[..], &what, &[IMAGE, "sleep", "600"]].concat());
    let run = [
        "run",
        "--detach",
        "--name",
        &container,
        "--network",
        &network,
    ];
    host.docker_ok(&[&run[..], &[IMAGE, "sleep", "600"]].concat());
    wait_for_replicas(host, &service, "1/1").unwrap();
    host.docker_ok(&["rm", "--force", &container]);
    host.docker_ok(&["service", "rm", &service]);
    remove_network(host, &network);
}

/// What may not grow.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    links: BTreeSet<String>,
    tables: BTreeSet<String>,
    /// Namespaces of networks. Those of containers the engine clears away itself, a minute later.
    namespaces: BTreeSet<String>,
    mounts: usize,
    /// Name and id of each object of the swarm, and of what the engine has.
    objects: BTreeSet<String>,
}

impl Standing {
    fn of(host: &Host) -> Self {
        let lines = |program: &[&str]| -> BTreeSet<String> {
            let output = host.inside(program).unwrap();
            output
                .success()
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        };
        let networks = host.daemon().exec_root().join("network");
        let link = |line: String| line.split(": ").nth(1).unwrap_or_default().to_owned();
        Self {
            links: lines(&["ip", "-oneline", "link"])
                .into_iter()
                .map(link)
                .collect(),
            tables: lines(&["nft", "list", "tables"]),
            namespaces: lines(&["ls", &networks.to_string_lossy()]),
            mounts: lines(&["cat", "/proc/self/mountinfo"]).len(),
            objects: objects(host),
        }
    }
}

fn objects(host: &Host) -> BTreeSet<String> {
    let ours = [
        "/services",
        "/tasks",
        "/networks",
        "/containers/json?all=1",
        "/volumes",
    ];
    let listed = |answer: Value| {
        let list = answer.get("Volumes").unwrap_or(&answer).as_array().cloned();
        let named = |one: Value| format!("{} {}{}", one["Id"], one["ID"], one["Name"]);
        list.unwrap_or_default()
            .into_iter()
            .map(named)
            .collect::<Vec<_>>()
    };
    let of_swarm = ours.map(|target| host.api("GET", target, None).unwrap());
    let of_engine = host.engine_api("GET", "/networks", None).unwrap();
    let answers = of_swarm.into_iter().chain([of_engine]);
    answers
        .flat_map(|answer| listed(answer.success().unwrap()))
        .collect()
}

/// Open descriptors of swarmrsd and of its holder.
fn descriptors(host: &Host) -> [usize; 2] {
    [host.daemon().pid(), host.daemon().holder_pid()].map(|pid| {
        let folder = format!("/proc/{}/fd", pid.expect("swarmrsd and its holder run"));
        std::fs::read_dir(Path::new(&folder)).unwrap().count()
    })
}

#[test]
fn fifty_rounds_of_networks_with_services_and_containers_leave_nothing() {
    let testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    // What comes with the first and stays, as the network of published ports does.
    cycle(host, 0);
    let settled = wait::until("rest after the first round", SOON, || {
        // Containers first: what is counted after them cannot have them any more.
        let containers = host.api("GET", "/containers/json?all=1", None).unwrap();
        let containers = containers.success().unwrap();
        let now = Standing::of(host);
        match (now.namespaces.len(), containers.as_array().map(Vec::len)) {
            (1, Some(0)) => Ok(now),
            _ => Err(format!("{now:#?}")),
        }
    });
    let (before, opened) = (settled.unwrap(), descriptors(host));
    thread::scope(|scope| {
        for lane in 0..LANES {
            scope.spawn(move || (0..CYCLES).for_each(|_| cycle(host, lane)));
        }
    });
    let rest = wait::until("nothing that was not there before", IDLE, || {
        let (now, open) = (Standing::of(host), descriptors(host));
        let few = open
            .iter()
            .zip(opened)
            .all(|(now, then)| *now <= then + PASSING);
        match now == before && few {
            true => Ok(()),
            false => Err(format!(
                "{now:#?}, descriptors {open:?}; before: {before:#?}, {opened:?}"
            )),
        }
    });
    rest.unwrap();
}
