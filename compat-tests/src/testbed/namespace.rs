//! The namespaces of a host or of the hub, held open by one sleeping process.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::run_dir::Site;
use crate::command;
use crate::error::{Error, Tried};
use crate::wait;

/// What hosts see a client on the hub as.
pub const HUB_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 254);

const HOLD: &str = include_str!("hold.sh");
const HOLD_HUB: &str = "ip link add hub0 type bridge && ip addr add 10.77.0.254/24 dev hub0 && ip link set hub0 up && \
                        ip link set lo up && : >\"$1/ready\" && exec sleep infinity";
const SETUP: Duration = Duration::from_secs(20);

/// Namespaces that live as long as this value.
pub struct Namespaces {
    holder: Process,
    /// Who holds the mount namespace of the engine, if that is not the host's.
    engine: Option<String>,
}

impl Namespaces {
    /// The network that hosts are plugged into.
    pub fn hub(site: &Site) -> Result<Self, Error> {
        let files = site.path().join("hub");
        let mut command = site.command("/usr/bin/unshare");
        command
            .args(["--net", "sh", "-c", HOLD_HUB, "hub"])
            .arg(&files);
        Self::hold(&mut command, &files)
    }

    /// A host with its files in `files`, not plugged in yet; its engine's programs are those in the folder `root`, if not the
    /// machine's.
    pub fn host(
        site: &Site,
        files: &Path,
        hostname: &str,
        root: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut command = site.command("/usr/bin/unshare");
        command.args([
            "--net",
            "--mount",
            "--uts",
            "--propagation",
            "private",
            "sh",
            "-c",
            HOLD,
            "hold",
        ]);
        command.arg(files).arg(hostname).args(root);
        Self::hold(&mut command, files)
    }

    fn hold(command: &mut Command, files: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(files).tried(|| format!("make {}", files.display()))?;
        let log = files.join("hold.log");
        let mut holder = Process::start(command, &log)?;
        let ready = files.join("ready");
        wait::until("the set-up of a namespace", SETUP, || {
            match (ready.exists(), holder.is_running()) {
                (true, _) => Ok(()),
                (false, running) => Err(format!("running: {running}, log: {}", read(&log))),
            }
        })?;
        let engine = std::fs::read_to_string(files.join("engine.pid")).ok();
        Ok(Self { holder, engine })
    }

    /// Puts a cable between `host` and this hub; the host's end is eth0 with the address 10.77.0.`place`.
    pub fn plug(&self, host: &Self, place: usize) -> Result<(), Error> {
        self.cable(&host.pid().to_string(), "eth0", place)
    }

    /// Puts a cable between the network of the process `peer` and this hub; the far end is `link` with the address
    /// 10.77.0.`place`.
    pub fn cable(&self, peer: &str, link: &str, place: usize) -> Result<(), Error> {
        let (port, address) = (format!("p{place}"), format!("10.77.0.{place}/24"));
        self.ip(&[
            "link", "add", &port, "type", "veth", "peer", "name", link, "netns", peer,
        ])?;
        self.ip(&["link", "set", &port, "master", "hub0", "up"])?;
        ip_at(peer, &["addr", "add", &address, "dev", link])?;
        ip_at(peer, &["link", "set", link, "up"])
    }

    /// Pulls the cable of the host at `place`, or puts it back.
    pub fn set_cable(&self, place: usize, connected: bool) -> Result<(), Error> {
        let state = if connected { "up" } else { "down" };
        self.ip(&["link", "set", &format!("p{place}"), state])
    }

    /// The process that holds them open.
    pub fn pid(&self) -> i32 {
        self.holder.pid().as_raw()
    }

    /// Makes `command` (from [`Site::command`] of `nsenter`) enter these namespaces and run what follows.
    pub fn enter(&self, nsenter: &mut Command) {
        nsenter.args([
            "--target",
            &self.holder.pid().to_string(),
            "--net",
            "--mount",
            "--uts",
        ]);
    }

    /// As [`Namespaces::enter`], but what follows is run where the engine's own programs are.
    pub fn enter_engine(&self, nsenter: &mut Command) {
        match &self.engine {
            Some(pid) => {
                nsenter.args(["--target", pid.trim(), "--net", "--mount", "--uts"]);
            }
            None => self.enter(nsenter),
        }
    }

    /// Whether the engine's programs are not the machine's.
    pub fn has_another_engine(&self) -> bool {
        self.engine.is_some()
    }

    fn ip(&self, args: &[&str]) -> Result<(), Error> {
        ip_at(&self.pid().to_string(), args)
    }
}

fn ip_at(pid: &str, args: &[&str]) -> Result<(), Error> {
    let mut command = Command::new("/usr/bin/nsenter");
    command.args(["--target", pid, "--net", "ip"]).args(args);
    command::run(&mut command, b"", SETUP)?.success().map(drop)
}

/// The end of a log, for messages.
pub fn read(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
