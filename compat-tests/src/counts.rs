//! Clients that count: each says numbers over one connection, or from one socket, and hears them again (`swarmrs-load count`).
//!
//! A step that fails is a failure of the test that takes it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::testbed::{Host, Process, Testbed, unique};
use crate::wait;

const SOON: Duration = Duration::from_secs(30);
/// Numbers that make a count one that goes on.
const FURTHER: usize = 10;

/// Counts from its start until it is dropped, its connection ends, or an answer is lost.
pub struct Count {
    what: String,
    process: Process,
    heard: PathBuf,
}

/// Whom a client speaks to, and how.
pub struct Way<'a> {
    /// The program `swarmrs-load`.
    pub load: &'a str,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// Of a server that says again what it is told (`swarmrs-load mirror`).
    pub address: String,
    /// Whether a number that is lost is said again.
    pub again: bool,
}

impl Count {
    /// From outside all hosts.
    pub fn outside(testbed: &Testbed, way: &Way<'_>) -> Self {
        Self::start(testbed.outside_command(), testbed.host(0), way)
    }

    /// From a container's end of the wire; what runs there, and whether its engine does, makes no difference.
    pub fn of_container(host: &Host, container: &str, way: &Way<'_>) -> Self {
        Self::start(on_wire(host, container), host, way)
    }

    fn start(mut command: Command, host: &Host, way: &Way<'_>) -> Self {
        command.args([way.load, "count", way.protocol, &way.address]);
        command.args(way.again.then_some("--again"));
        let heard = host.files().join(unique("heard"));
        Self {
            what: format!("{} {}", way.protocol, way.address),
            process: Process::start(&mut command, &heard).unwrap(),
            heard,
        }
    }

    /// How far it has counted. What it heard was each number in turn.
    pub fn number(&self) -> usize {
        let heard = self.heard();
        // The last line may be half there, and those of an error come after all numbers.
        let whole = heard.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let numbers = whole
            .lines()
            .map_while(|line| line.rsplit(' ').next()?.parse().ok());
        let numbers: Vec<usize> = numbers.collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len()), "{heard}");
        numbers.len()
    }

    /// All that it has printed.
    pub fn heard(&self) -> String {
        std::fs::read_to_string(&self.heard).unwrap()
    }

    /// Waits until it has ended by itself; all that it has printed.
    pub fn ended(&mut self) -> String {
        wait::until(&format!("the end of {}", self.what), SOON, || {
            match self.process.is_running() {
                true => Err(self.heard()),
                false => Ok(()),
            }
        })
        .unwrap();
        self.heard()
    }
}

/// A command at a container's end of the wire, which becomes the program given as its first argument.
pub fn on_wire(host: &Host, container: &str) -> Command {
    let pid = host.docker_ok(&["inspect", "--format", "{{.State.Pid}}", container]);
    let mut command = host.inside_command();
    command.args(["nsenter", "--net", "--target", &pid]);
    command
}

/// Waits until each of them has counted on.
#[track_caller]
pub fn go_on(when: &str, counts: &[Count]) {
    let numbers = || counts.iter().map(Count::number).collect::<Vec<_>>();
    let before = numbers();
    let gone_on = wait::until(when, SOON, || {
        let now = numbers();
        let mut each = now.iter().zip(&before);
        if each.all(|(now, before)| now >= &(before + FURTHER)) {
            return Ok(());
        }
        let each = counts.iter().map(|count| count.what.as_str());
        Err(format!(
            "{before:?} became {now:?} of {:?}",
            each.collect::<Vec<_>>()
        ))
    });
    if let Err(error) = gone_on {
        panic!("{error}");
    }
}
