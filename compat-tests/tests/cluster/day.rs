//! An ugly day: clients read and write at all managers, containers run on all hosts, something happens. In the evening all
//! is well, nothing that was acknowledged is lost, nobody saw what cannot have been, and every container runs since before.
//!
//! One may have gone to another host if the swarm took its own for down, as the leaders' logs say. A host may be taken for
//! down if it was away for the whole of the period that a node may be silent.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use swarmrs_compat_tests::clients::Clients;
use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::swarm::{CREATE, running};
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::{Host, Testbed};

use crate::hosts::{HOSTS, MANAGERS, places, until, until_well};

/// One task on each host: it goes on there whenever the host is back.
const STEADY: &str = "steady";
/// As many, wherever there is room: those of a host that is down are replaced.
const SPREAD: &str = "spread";

pub struct Day {
    clients: Clients,
    before: Vec<[Containers; 2]>,
    /// How long each host could not be heard, at most.
    away: [Duration; HOSTS],
    /// How much the managers had logged in the morning.
    logged: [usize; MANAGERS],
}

/// How long a node may be silent before it is down.
const PERIOD: Duration = Duration::from_secs(5);

/// A service's containers on one host, with when they started.
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
            away: [Duration::ZERO; HOSTS],
            logged: std::array::from_fn(|manager| log(testbed.host(manager)).len()),
        };
        assert!(day.before.iter().all(|[steady, _]| !steady.is_empty()));
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

    /// A host that could not be heard since then is back.
    pub fn was_away(&mut self, testbed: &Testbed, at: usize, since: Instant) {
        until_well(testbed);
        self.away[at] = self.away[at].max(since.elapsed());
    }

    /// A host's containers have ended with what ran them: others take their place, and run until the evening.
    #[track_caller]
    pub fn ended_with_their_engine(&mut self, testbed: &Testbed, at: usize) {
        let [ended, _] = &self.before[at];
        let new = until("others", || match running(testbed.host(at), STEADY) {
            now if !now.is_empty() && now.is_disjoint(ended) => Ok(now),
            now => Err(format!("{ended:?}, then {now:?}")),
        });
        self.before[at] = [new, Containers::new()];
    }

    /// What ran on a host in the morning runs there still, and was not started again.
    #[track_caller]
    pub fn kept(&self, testbed: &Testbed, at: usize) {
        self.kept_if(true, testbed, at);
    }

    /// As [`Day::kept`]; tasks that may be anywhere only if the host was there all day.
    #[track_caller]
    fn kept_if(&self, there: bool, testbed: &Testbed, at: usize) {
        let ([steady, spread], [steady_now, spread_now]) =
            (&self.before[at], containers(testbed.host(at)));
        let kept = steady.is_subset(&steady_now) && (!there || spread.is_subset(&spread_now));
        assert!(
            kept,
            "on host {at}: {:#?}, now {steady_now:#?} {spread_now:#?}",
            self.before[at]
        );
    }

    /// The evening.
    #[track_caller]
    pub fn end(self, what: &str, testbed: &Testbed) {
        until_well(testbed);
        for service in [STEADY, SPREAD] {
            wait_for_replicas(testbed.host(0), service, "5/5").unwrap();
        }
        let down = self.taken_for_down(testbed);
        for (at, away) in self.away.iter().enumerate() {
            let down = down.contains(testbed.host(at).name());
            assert!(
                !down || *away >= PERIOD,
                "{what}: host {at} was taken for down, and away for {away:?}"
            );
            self.kept_if(!down, testbed, at);
        }
        // So many at least are judged.
        self.until_answered(2_000);
        let tally = match self.clients.finish() {
            Ok(tally) => tally,
            Err(wrong) => panic!("{what}: what clients saw cannot have been:\n{wrong}"),
        };
        println!("{what}: {tally:?}, down meanwhile: {down:?}");
    }

    /// The names of the hosts that a leader took for down today.
    fn taken_for_down(&self, testbed: &Testbed) -> BTreeSet<String> {
        let logs = (0..MANAGERS).map(|manager| log(testbed.host(manager)));
        let today: Vec<_> = logs.zip(self.logged).collect();
        let told = today.iter().flat_map(|(log, from)| log[*from..].lines());
        let down: Vec<&str> = told
            .filter(|line| line.contains("node state") && line.contains("to=\"down\""))
            .collect();
        let format = "{{.ID}} {{.Hostname}}";
        let nodes = testbed
            .host(0)
            .docker_ok(&["node", "ls", "--format", format]);
        let nodes = nodes.lines().filter_map(|node| node.split_once(' '));
        let was_down = |id| down.iter().any(|line| line.contains(id));
        nodes
            .filter(|(id, _)| was_down(*id))
            .map(|(_, name)| name.to_owned())
            .collect()
    }
}

/// What a host's swarmrsd has logged.
pub fn log(host: &Host) -> String {
    std::fs::read_to_string(host.daemon().log()).unwrap()
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

fn containers(host: &Host) -> [Containers; 2] {
    [STEADY, SPREAD].map(|service| running(host, service))
}
