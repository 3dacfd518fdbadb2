//! An ugly day: clients read and write at all managers, containers run on all hosts, something happens. In the evening all
//! is well, nothing that was acknowledged is lost, nobody saw what cannot have been, and every container runs since before.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use swarmrs_compat_tests::clients::Clients;
use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::swarm::{CREATE, running};
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Testbed};

use crate::hosts::{HOSTS, MANAGERS, places, until, until_well};

/// One task on each host, and as many wherever there is room.
const STEADY: &str = "steady";
const SPREAD: &str = "spread";

pub struct Day {
    clients: Clients,
    before: Vec<Containers>,
}

/// The containers of one host, with when they started.
type Containers = BTreeSet<(String, String)>;

impl Day {
    /// All is well, services run, clients are at work.
    pub fn begin(testbed: &Testbed) -> Self {
        services(testbed.host(0));
        let sockets: Vec<PathBuf> = (0..MANAGERS)
            .map(|manager| testbed.host(manager).socket())
            .collect();
        let day = Self {
            clients: Clients::start(&sockets).unwrap(),
            before: (0..HOSTS).map(|at| containers(testbed.host(at))).collect(),
        };
        assert!(day.before.iter().all(|on| !on.is_empty()));
        day.next_write();
        day
    }

    /// How long it takes until the next write is acknowledged, by whichever manager.
    #[track_caller]
    pub fn next_write(&self) -> Duration {
        let (asked, before) = (Instant::now(), self.clients.acknowledged());
        until("a write", || match self.clients.acknowledged() > before {
            true => Ok(()),
            false => Err("none".to_owned()),
        });
        asked.elapsed()
    }

    /// Waits for so many acknowledged writes.
    #[track_caller]
    pub fn writes(&self, count: u64) {
        let before = self.clients.acknowledged();
        until("writes", || match self.clients.acknowledged() - before {
            some if some >= count => Ok(()),
            some => Err(format!("{some}")),
        });
    }

    /// Waits until so many reads and writes went well, all in all.
    #[track_caller]
    fn until_answered(&self, count: u64) {
        until("answers", || match self.clients.answered() {
            some if some >= count => Ok(()),
            some => Err(format!("{some}")),
        });
    }

    /// What ran on a host in the morning runs there still, and was not started again.
    #[track_caller]
    pub fn kept(&self, testbed: &Testbed, at: usize) {
        let (before, now) = (&self.before[at], containers(testbed.host(at)));
        assert!(
            before.is_subset(&now),
            "on host {at}: {before:#?}, now {now:#?}"
        );
    }

    /// The evening.
    #[track_caller]
    pub fn end(self, what: &str, testbed: &Testbed) {
        self.end_but_for(what, testbed, &[]);
    }

    /// The evening of a day on which containers had to go on some hosts.
    #[track_caller]
    pub fn end_but_for(self, what: &str, testbed: &Testbed, spared: &[usize]) {
        until_well(testbed);
        for service in [STEADY, SPREAD] {
            wait_for_replicas(testbed.host(0), service, "5/5").unwrap();
        }
        for at in (0..HOSTS).filter(|at| !spared.contains(at)) {
            self.kept(testbed, at);
        }
        // So many at least are judged.
        self.until_answered(2_000);
        let tally = match self.clients.finish() {
            Ok(tally) => tally,
            Err(wrong) => panic!("{what}: what clients saw cannot have been:\n{wrong}"),
        };
        println!("{what}: {tally:?}");
    }
}

/// The services of every day; they are made on the first.
fn services(manager: &Host) {
    let shown = manager.docker_ok(&["service", "ls", "--format", "{{.Name}}"]);
    let run = [IMAGE, "sleep", "86400"];
    if !shown.lines().any(|name| name == STEADY) {
        let global = ["--name", STEADY, "--mode", "global"];
        manager.docker_ok(&[&CREATE[..], &global, &run].concat());
        let spread = ["--name", SPREAD, "--replicas", "5"];
        manager.docker_ok(&[&CREATE[..], &spread, &run].concat());
    }
    for service in [STEADY, SPREAD] {
        until("all tasks", || match places(manager, service).len() {
            HOSTS => Ok(()),
            some => Err(format!("{some}")),
        });
    }
}

fn containers(host: &Host) -> Containers {
    let services = [STEADY, SPREAD].into_iter();
    services
        .flat_map(|service| running(host, service))
        .collect()
}
