//! Five hosts in one swarm: three managers, two workers.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

pub use swarmrs_compat_tests::swarm::{nodes, token, until_nodes};
use swarmrs_compat_tests::{Host, Options, Testbed, swarm, wait};

use crate::means::Paused;

/// A swarm does everything within this, the stock one too.
pub const SOON: Duration = Duration::from_secs(60);
pub const MANAGERS: usize = 3;
pub const HOSTS: usize = 5;

/// Five hosts in one swarm; the first leads.
pub fn joined(options: &Options) -> Testbed {
    let testbed = match Testbed::hosts(HOSTS, options) {
        Ok(testbed) => testbed,
        Err(error) => panic!("no testbed: {error}"),
    };
    swarm::form(&testbed, MANAGERS, HOSTS - MANAGERS);
    until_nodes(testbed.host(0), &whole());
    testbed
}

/// The five hosts that tests share which leave the swarm as they found it.
pub struct Shared(MutexGuard<'static, Option<Testbed>>);

/// Those hosts, one test at a time, with everything in its place. After a test that failed they are others.
pub fn shared() -> Shared {
    static SHARED: Mutex<Option<Testbed>> = Mutex::new(None);
    let mut shared = SHARED.lock().unwrap_or_else(|failed| {
        let mut left = failed.into_inner();
        *left = None;
        SHARED.clear_poison();
        left
    });
    let testbed = shared.get_or_insert_with(|| joined(&Options::default()));
    until_well(testbed);
    Shared(shared)
}

impl Deref for Shared {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        self.0.as_ref().expect("made before it is given out")
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Testbed {
        self.0.as_mut().expect("made before it is given out")
    }
}

/// Waits until every manager shows all nodes ready, one leader and two others.
#[track_caller]
pub fn until_well(testbed: &Testbed) {
    swarm::until_well(testbed, MANAGERS, HOSTS - MANAGERS);
}

/// The place of the host that leads, as this one knows.
pub fn leader(testbed: &Testbed, asked: usize) -> Result<usize, String> {
    let shown = nodes(testbed.host(asked))?;
    let leads = |at: &usize| {
        let name = testbed.host(*at).name();
        let mut of = shown.iter().filter(|line| line.starts_with(name));
        of.any(|line| line.ends_with("Leader"))
    };
    (0..MANAGERS)
        .find(leads)
        .ok_or_else(|| format!("{shown:#?}"))
}

/// Waits until this host knows a leader that is none of `not`.
#[track_caller]
pub fn until_led(testbed: &Testbed, asked: usize, not: &[usize]) -> usize {
    until("another leader", || match leader(testbed, asked)? {
        at if not.contains(&at) => Err(format!("{at} leads still")),
        at => Ok(at),
    })
}

/// Two managers that are not this one.
pub fn others(manager: usize) -> [usize; 2] {
    [(manager + 1) % MANAGERS, (manager + 2) % MANAGERS]
}

/// Until a manager says that it does not reach the other.
pub fn until_unreachable(manager: &Host, other: &str) {
    until("a manager out of reach", || {
        let shown = nodes(manager)?;
        let mut of = shown.iter().filter(|line| line.starts_with(other));
        match of.any(|line| line.ends_with(" Unreachable")) {
            true => Ok(()),
            false => Err(format!("{shown:#?}")),
        }
    });
}

/// Has the manager take the lead: the third is out of reach when the leader stops in order, so it is handed to this one.
pub fn lead(testbed: &mut Testbed, wanted: usize) {
    for _ in 0..3 {
        let now = until_led(testbed, wanted, &[]);
        if now == wanted {
            return until_well(testbed);
        }
        let [one, other] = others(now);
        let third = testbed.host(if one == wanted { other } else { one });
        let paused = Paused::daemon(third);
        until_unreachable(testbed.host(now), third.name());
        testbed.host_mut(now).stop_daemon().unwrap();
        drop(paused);
        testbed.host_mut(now).start_daemon().unwrap();
        until_well(testbed);
    }
    panic!("host {wanted} does not take the lead");
}

/// Has the host join the swarm of the first.
pub fn join(testbed: &Testbed, at: usize, role: &str) {
    swarm::join(testbed.host(0), testbed.host(at), role);
}

/// As `node ls` shows the whole swarm.
pub fn whole() -> [&'static str; HOSTS] {
    [
        "atlas Ready Active Leader",
        "boreas Ready Active Reachable",
        "castor Ready Active Reachable",
        "daphne Ready Active",
        "electra Ready Active",
    ]
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
