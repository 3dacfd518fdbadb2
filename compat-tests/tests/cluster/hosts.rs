//! Five hosts in one swarm: three managers, two workers.

use std::collections::BTreeSet;
use std::time::Duration;

use swarmrs_compat_tests::{Host, Options, Testbed, wait};

/// A swarm does everything within this, the stock one too.
pub const SOON: Duration = Duration::from_secs(60);
pub const MANAGERS: usize = 3;
pub const HOSTS: usize = 5;

/// Name, state, availability and rank of every node, in order of their names.
const NODES: &str = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";

/// Five hosts, not in a swarm yet.
pub fn apart(options: &Options) -> Testbed {
    match Testbed::hosts(HOSTS, options) {
        Ok(testbed) => testbed,
        Err(error) => panic!("no testbed: {error}"),
    }
}

/// Five hosts in one swarm; the first leads.
pub fn joined(options: &Options) -> Testbed {
    let testbed = apart(options);
    let first = testbed.host(0);
    first.docker_ok(&["swarm", "init", "--advertise-addr", first.address()]);
    for at in 1..HOSTS {
        let role = if at < MANAGERS { "manager" } else { "worker" };
        join(&testbed, at, role);
    }
    until_nodes(first, &whole());
    testbed
}

/// Has the host join the swarm of the first.
pub fn join(testbed: &Testbed, at: usize, role: &str) {
    let (first, host) = (testbed.host(0), testbed.host(at));
    let token = token(first, role);
    let address = ["--advertise-addr", host.address()];
    let to = format!("{}:2377", first.address());
    host.docker_ok(&[&["swarm", "join", "--token", &token], &address[..], &[&to]].concat());
}

pub fn token(host: &Host, role: &str) -> String {
    host.docker_ok(&["swarm", "join-token", "--quiet", role])
}

/// As `node ls` shows the whole swarm.
pub fn whole() -> Vec<String> {
    [
        "atlas Ready Active Leader",
        "boreas Ready Active Reachable",
        "castor Ready Active Reachable",
        "daphne Ready Active",
        "electra Ready Active",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The nodes as this host's `node ls` shows them.
pub fn nodes(host: &Host) -> Result<Vec<String>, String> {
    let output = host.docker(&["node", "ls", "--format", NODES]);
    let output = output.map_err(|error| error.to_string())?;
    let lines = output.success().map_err(|error| error.to_string())?;
    let mut lines: Vec<_> = lines.lines().map(|line| line.trim().to_owned()).collect();
    lines.sort();
    Ok(lines)
}

/// Waits until `node ls` on the host shows this.
#[track_caller]
pub fn until_nodes(host: &Host, expected: &[String]) {
    until("the nodes", || match nodes(host) {
        Ok(shown) if shown == expected => Ok(()),
        Ok(shown) => Err(format!("{shown:#?}")),
        Err(error) => Err(error),
    });
}

/// Waits until the command prints this.
#[track_caller]
pub fn until_printed(host: &Host, args: &[&str], expected: &str) {
    until(&format!("{expected:?} of {args:?}"), || {
        let output = host.docker(args).map_err(|error| error.to_string())?;
        match output.stdout.trim() == expected {
            true => Ok(()),
            false => Err(format!("{output:?}")),
        }
    });
}

#[track_caller]
pub fn until<T>(what: &str, probe: impl FnMut() -> Result<T, String>) -> T {
    match wait::until(what, SOON, probe) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// Where the tasks of a service run that are wanted to, by host name, one word for each.
pub fn places(host: &Host, service: &str) -> Vec<String> {
    let format = "{{.Node}} {{.CurrentState}}";
    let filter = ["--filter", "desired-state=running"];
    let args = [
        &["service", "ps", "--format", format],
        &filter[..],
        &[service],
    ]
    .concat();
    let shown = host.docker_ok(&args);
    let running = shown.lines().filter_map(|line| {
        let (node, state) = line.split_once(' ')?;
        state.starts_with("Running").then(|| node.to_owned())
    });
    let mut places: Vec<_> = running.collect();
    places.sort();
    places
}

/// The different hosts among places.
pub fn distinct(places: &[String]) -> BTreeSet<&str> {
    places.iter().map(String::as_str).collect()
}
