//! Real hosts on one machine, and nothing left of them afterwards.
//!
//! ```text
//!   run directory ─ recorded owner ─ watcher (sweeps when the owner is gone, even after SIGKILL)
//!        │
//!      hub: a network namespace with a bridge, 10.77.0.254/24
//!        ├── host 1 "atlas"  10.77.0.1   dockerd   swarmrsd
//!        └── host 2 "boreas" 10.77.0.2   dockerd   swarmrsd
//! ```
//!
//! The hub is a namespace of the testbed's own, so two testbeds use the same addresses and host names side by side:
//! that is what lets a transcript of the reference swarm be compared with ours without masking either.
//!
//! A testbed needs root, network, mount and UTS namespaces, and a stock dockerd. What lacks is an error, never a skip.

mod daemon;
mod engine;
mod host;
pub mod image;
mod machine;
mod namespace;
mod previous;
mod process;
mod release;
mod run_dir;

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::unistd::Uid;

pub use daemon::{Daemon, build_release, plugin, tested_binary, workspace};
pub use engine::Engine;
use host::Place;
pub use host::{Host, unique};
pub use image::IMAGE;
pub use machine::{Machine, package, package_into};
pub use namespace::HUB_ADDRESS;
pub use previous::previous_swarmrsd;
pub use process::Process;
pub use release::Release;
pub use run_dir::{RunDir, sweep_leftovers};

use crate::Error;
use namespace::Namespaces;

/// Names of the hosts, in order: each of at least four letters, so that `node.hostname` constraints can name it.
const NAMES: [&str; 8] = [
    "atlas", "boreas", "castor", "daphne", "electra", "faunus", "gemini", "hermes",
];

/// What stands on each host.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Leave swarmrsd out: commands go to the engine, which may run its own swarm mode.
    pub stock: bool,
    /// Put a recording socket between swarmrsd and the engine.
    pub recorded: bool,
    /// Have the containers of this host on paper only: see [`crate::paper`].
    pub on_paper: bool,
    /// Use this swarmrsd instead of the one that cargo builds for tests.
    pub swarmrsd: Option<std::path::PathBuf>,
    /// Which engine it is.
    pub release: Release,
    /// Further flags for the engine.
    pub engine_flags: Vec<String>,
    /// Further flags for what runs the swarm: the engine if it is stock, else swarmrsd.
    pub flags: Vec<String>,
}

impl Options {
    /// Hosts with an engine alone: the reference.
    pub fn stock() -> Self {
        Self {
            stock: true,
            ..Self::default()
        }
    }

    /// The reference for these hosts: the same engine alone.
    pub fn reference(&self) -> Self {
        Self {
            release: self.release,
            ..Self::stock()
        }
    }

    /// Hosts with swarmrsd in front of that engine.
    pub fn engine(release: Release) -> Self {
        Self {
            release,
            ..Self::default()
        }
    }

    /// The same, with nodes that have two GPUs by name and three licences by number.
    #[must_use]
    pub fn with_resources(mut self) -> Self {
        let resources = ["GPU=UUID1", "GPU=UUID2", "LICENCE=3"];
        let flags = resources.map(|resource| format!("--node-generic-resource={resource}"));
        self.flags.extend(flags);
        self
    }

    /// Hosts whose engine traffic is recorded.
    pub fn recorded() -> Self {
        Self {
            recorded: true,
            ..Self::default()
        }
    }
}

/// A set of hosts on one hub. Dropping it removes every process, mount, cgroup, namespace and file of it.
pub struct Testbed {
    // Fields drop in order: hosts end their processes before the directory is swept.
    hosts: Vec<Host>,
    hub: Namespaces,
    dir: RunDir,
}

impl Testbed {
    /// One host with an engine and swarmrsd in front of it.
    pub fn one() -> Result<Self, Error> {
        Self::hosts(1, &Options::default())
    }

    /// `count` hosts as `options` say.
    pub fn hosts(count: usize, options: &Options) -> Result<Self, Error> {
        machine_is_fit(count)?;
        sweep_leftovers()?;
        let dir = RunDir::create()?;
        let root = options.release.root()?;
        let hub = Namespaces::hub(dir.site())?;
        let hosts = NAMES.iter().take(count).enumerate();
        let hosts = hosts.map(|(at, name)| {
            let place = Place {
                hub: &hub,
                number: at + 1,
                root: root.as_deref(),
            };
            Host::start(dir.site(), name, &place, options)
        });
        let hosts = hosts.collect::<Result<_, _>>()?;
        Ok(Self { hosts, hub, dir })
    }

    /// The host with that place, counted from 0.
    pub fn host(&self, at: usize) -> &Host {
        &self.hosts[at]
    }

    /// Gives a machine that is on a second link, `eth1`, to this testbed's hub; its address there is 10.77.0.`number`.
    pub fn plug_in(&self, machine: &Machine, number: usize) -> Result<(), Error> {
        self.hub.cable(machine.init()?, "eth1", number)
    }

    /// A command that enters the hub, as a neighbour of all hosts, and becomes the program given as its first argument.
    pub fn outside_command(&self) -> Command {
        let mut command = self.dir.site().command("/usr/bin/nsenter");
        self.hub.enter(&mut command);
        command
    }

    /// A process in the namespace of the hub: the network outside all hosts, with the address [`HUB_ADDRESS`].
    pub fn hub_pid(&self) -> i32 {
        self.hub.pid()
    }

    /// Pulls the network cable of the host with that place.
    pub fn cut_off(&self, at: usize) -> Result<(), Error> {
        self.hub.set_cable(at + 1, false)
    }

    /// Puts the cable back.
    pub fn reconnect(&self, at: usize) -> Result<(), Error> {
        self.hub.set_cable(at + 1, true)
    }

    /// The host with that place, to start and end what runs on it.
    pub fn host_mut(&mut self, at: usize) -> &mut Host {
        &mut self.hosts[at]
    }
}

/// The first host of a testbed that all tests of one test binary share, one at a time.
///
/// It lives until the process ends; its watcher sweeps it then.
pub fn shared(options: &Options) -> MutexGuard<'static, Testbed> {
    static SHARED: OnceLock<Mutex<Testbed>> = OnceLock::new();
    let testbed = SHARED.get_or_init(|| match Testbed::hosts(1, options) {
        Ok(testbed) => Mutex::new(testbed),
        Err(error) => panic!("no testbed: {error}"),
    });
    testbed.lock().unwrap_or_else(PoisonError::into_inner)
}

fn machine_is_fit(hosts: usize) -> Result<(), Error> {
    if hosts > NAMES.len() {
        return Err(Error::Setup(format!(
            "a testbed has at most {} hosts",
            NAMES.len()
        )));
    }
    if !Uid::effective().is_root() {
        return Err(Error::Setup(
            "a testbed needs root: it makes namespaces and starts dockerd".to_owned(),
        ));
    }
    for program in [
        engine::DOCKERD,
        "/usr/bin/nsenter",
        "/usr/bin/unshare",
        image::BUSYBOX,
    ] {
        if !Path::new(program).exists() {
            return Err(Error::Setup(format!(
                "{program} is missing (Debian: apt-get install docker.io util-linux iproute2 iptables busybox-static)"
            )));
        }
    }
    Ok(())
}
