//! Nothing is left of networks, services and containers that came and went: fifty times, some of them side by side.
//! Of a newcomer's tour: what `docker service rm`, `network rm` and `swarm leave` are for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::web::{remove, remove_network, servers};
use swarmrs_compat_tests::{Host, Testbed, command, traces, wait};

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

/// What the engine itself shows of its networks.
fn of_engine(host: &Host) -> BTreeSet<String> {
    let listed = host.engine_docker(&["network", "ls", "--format", "{{.Name}}"]);
    let listed = listed.unwrap();
    listed
        .success()
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn engine_has(host: &Host, network: &str, expected: bool) {
    wait::until("the engine's networks", SOON, || match of_engine(host) {
        names if names.contains(network) == expected => Ok(()),
        names => Err(format!("{network}: {names:?}")),
    })
    .unwrap();
}

/// A macvlan on the host's own wire: its tasks are neighbours of the host's neighbours.
#[test]
fn a_network_of_each_engines_own_comes_with_its_first_task_and_goes_with_its_last() {
    let mut testbed = Testbed::one().unwrap();
    let host = testbed.host(0);
    let before = traces::of(host).unwrap();
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let create = ["network", "create", "--config-only", "--opt", "parent=eth0"];
    let subnet = ["--subnet", "10.77.0.0/24", "--ip-range", "10.77.0.64/28"];
    host.docker_ok(&[&create[..], &subnet, &["lan-here"]].concat());
    let create = [
        "network", "create", "--driver", "macvlan", "--scope", "swarm",
    ];
    let lan = host.docker_ok(&[&create[..], &["--config-from", "lan-here", "lan"]].concat());
    assert!(!of_engine(host).contains("lan"), "nobody needs it yet");

    let web = servers(host, 2, &["--network", "lan"]);
    let tasks = task_containers(host, &web).unwrap();
    for task in &tasks {
        let format = "{{.NetworkSettings.Networks.lan.NetworkID}} {{.NetworkSettings.Networks.lan.IPAddress}}";
        let shown = host.docker_ok(&["inspect", "--format", format, &task.container]);
        let (network, address) = shown.split_once(' ').unwrap();
        assert_eq!(network, lan, "the swarm's id");
        let last: u8 = address.strip_prefix("10.77.0.").unwrap().parse().unwrap();
        assert!((64..80).contains(&last), "{address}");
        let url = format!("http://{address}/");
        let mut outside = testbed.outside_command();
        outside.args(["curl", "--silent", "--fail", "--max-time", "5", &url]);
        let answer = command::run(&mut outside, b"", SOON).unwrap();
        assert_eq!(answer.success().unwrap().trim(), &task.container[..12]);
    }
    let format = "{{.Id}} {{.Scope}} {{.Driver}} {{(index .IPAM.Config 0).IPRange}} {{.ConfigFrom.Network}} {{len .Containers}}";
    let shown = host.docker_ok(&["network", "inspect", "--format", format, "lan"]);
    assert_eq!(
        shown,
        format!("{lan} swarm macvlan 10.77.0.64/28 lan-here 2")
    );

    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, &web, "2/2").unwrap();
    assert_eq!(task_containers(host, &web).unwrap(), tasks);
    host.docker_ok(&["service", "scale", "--detach", &format!("{web}=1")]);
    wait_for_replicas(host, &web, "1/1").unwrap();
    assert!(of_engine(host).contains("lan"), "one task is left");
    remove(host, &web);
    engine_has(host, "lan", false);

    // Without a configuration the engine chooses.
    let create_bridge = [
        "network", "create", "--driver", "bridge", "--scope", "swarm", "own",
    ];
    let own = host.docker_ok(&create_bridge);
    let web = servers(host, 1, &["--network", "own"]);
    let format = "{{range .Containers}}on it{{end}} {{.Id}} {{.Driver}}";
    let shown = host.docker_ok(&["network", "inspect", "--format", format, "own"]);
    assert_eq!(shown, format!("on it {own} bridge"));
    remove(host, &web);
    engine_has(host, "own", false);
    remove_network(host, "own");

    // As after a kill between the making of a network and its use.
    testbed.host_mut(0).kill_daemon();
    let host = testbed.host(0);
    let label = format!("swarmrs.network.id={lan}");
    let made = host.engine_docker(&["network", "create", "--label", &label, "lan"]);
    made.unwrap().success().unwrap();
    testbed.host_mut(0).start_daemon().unwrap();
    engine_has(testbed.host(0), "lan", false);

    let host = testbed.host(0);
    host.docker_ok(&[&create[..], &["--config-from", "nothing", "other"]].concat());
    let what = [
        "--name",
        "lost",
        "--network",
        "other",
        IMAGE,
        "sleep",
        "600",
    ];
    host.docker_ok(&[&CREATE[..], &what].concat());
    let refused = "configuration network \"nothing\" does not exist";
    wait::until("a task that says what is missing", SOON, || {
        let format = "{{.CurrentState}} {{.Error}}";
        let tasks = host.docker_ok(&["service", "ps", "--no-trunc", "--format", format, "lost"]);
        let words: Vec<&str> = tasks.split_whitespace().collect();
        match words.join(" ") {
            told if told.contains("Rejected") && told.contains(refused) => Ok(()),
            told => Err(told),
        }
    })
    .unwrap();
    host.docker_ok(&["service", "rm", "lost"]);
    for network in ["lan", "other", "lan-here"] {
        remove_network(host, network);
    }
    host.docker_ok(&["swarm", "leave", "--force"]);
    wait::until("a host as it was before", SOON, || {
        traces::none_since(&before, host)
    })
    .unwrap();
}
