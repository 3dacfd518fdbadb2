//! A whole machine, with systemd as its init: what is installed, booted, shut down and unplugged like any other.
//!
//! A [`Host`](super::Host) is an engine and a daemon that a test starts; on a machine the machine starts them, by its units,
//! under their usual paths. It shares programs with the machine that the tests run on, or has a Debian of its own, and keeps
//! what it writes itself over reboots:
//!
//! ```text
//!   /usr /etc /var   those of this machine, the machine's own writes on top
//!   /root /var/lib/docker /var/lib/containerd   its own disk
//!   /run /tmp /dev   gone with each boot
//!   /share           what a test hands in, read and written by both
//! ```

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::daemon::{plugin, tested_binary, workspace};
use super::engine::DOCKERD;
use super::process::Process;
use super::run_dir::{RunDir, Site};
use super::{IMAGE, image, machine_is_fit, release, sweep_leftovers};
use crate::command::{self, Output};
use crate::error::{Error, Tried};
use crate::wait;

const BOOT: &str = include_str!("machine.sh");
/// Puts itself into fresh cgroups first: `$1` is their name, the rest is run there.
const CONFINE: &str = include_str!("confine.sh");
const SYSTEMD: &str = "/lib/systemd/systemd";
/// Where swarmrsd listens unless told otherwise.
const SOCKET: &str = "/run/swarmrs/docker.sock";
/// What `contrib/systemd` has.
const UNITS: [&str; 3] = [
    "swarmrsd.socket",
    "swarmrsd.service",
    "swarmrs-holder.service",
];
const UP: Duration = Duration::from_secs(60);
const DOWN: Duration = Duration::from_secs(60);
const COMMAND: Duration = Duration::from_secs(120);

/// A machine that is on or off. Dropping it removes every trace of it.
pub struct Machine {
    // Fields drop in order: the power goes before the directory is swept.
    power: Option<Power>,
    files: PathBuf,
    name: &'static str,
    /// The folder with its Debian, if that is not the one of the machine that the tests run on.
    root: Option<PathBuf>,
    site: Site,
    _dir: RunDir,
}

/// What runs while a machine is on.
struct Power {
    /// Its end is that of init, and so of every process of the machine.
    holder: Process,
    init: String,
}

impl Machine {
    /// A machine with a Docker engine, as its distribution installs one, and nothing of ours. It is on.
    pub fn with_engine() -> Result<Self, Error> {
        let mut machine = Self::bare()?;
        machine.turn_on()?;
        machine
            .sh("systemctl enable --quiet --now containerd.service docker.socket docker.service")?;
        machine.load_image()?;
        Ok(machine)
    }

    /// A machine with a Debian as one gets it first, without an engine; its packages are at hand. It is on.
    pub fn debian() -> Result<Self, Error> {
        let root = release::bare()?;
        let mut machine = Self::bare()?;
        machine.root = Some(root);
        machine.name = "umbra";
        machine.turn_on()?;
        Ok(machine)
    }

    /// A machine that is off and has nothing enabled.
    pub fn bare() -> Result<Self, Error> {
        machine_is_fit(1)?;
        for needed in [SYSTEMD, DOCKERD] {
            if !Path::new(needed).exists() {
                return Err(Error::Setup(format!(
                    "{needed} is missing (Debian: apt-get install systemd docker.io)"
                )));
            }
        }
        sweep_leftovers()?;
        let dir = RunDir::create()?;
        let site = dir.site().clone();
        let files = site.path().join("machine");
        fs::create_dir_all(files.join("share")).tried(|| format!("make {}", files.display()))?;
        Ok(Self {
            power: None,
            files,
            name: "atlas",
            root: None,
            site,
            _dir: dir,
        })
    }

    /// Boots it and waits until all that is enabled has started, or has failed to.
    pub fn turn_on(&mut self) -> Result<(), Error> {
        let cgroup = format!("{}/{}", self.site.name(), self.name);
        let mut command = self.site.command("/bin/sh");
        command.args(["-c", CONFINE, "confine", &cgroup]).args([
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            BOOT,
            "machine",
        ]);
        command.arg(&self.files).arg(self.name).args(&self.root);
        let mut holder = Process::start(&mut command, &self.log())?;
        let log = self.log();
        let init = wait::until("the start of init", UP, || {
            let running = holder.is_running();
            child_of(holder.pid().as_raw())
                .ok_or_else(|| format!("running: {running}, log: {}", super::namespace::read(&log)))
        })?;
        self.power = Some(Power { holder, init });
        wait::until("the end of the boot", UP, || {
            let state = self
                .run(&["systemctl", "is-system-running"])
                .map_err(|e| e.to_string())?;
            match state.stdout.trim() {
                "running" | "degraded" => Ok(()),
                other => Err(format!("{other} {}", state.stderr)),
            }
        })
    }

    /// Pulls the plug: every process is gone at once, and what is on the disk stays.
    pub fn unplug(&mut self) -> Result<(), Error> {
        let Some(mut power) = self.power.take() else {
            return Ok(());
        };
        power.holder.kill();
        power.wait_for_the_end()
    }

    /// Shuts it down in order, as `systemctl poweroff` does.
    pub fn shut_down(&mut self) -> Result<(), Error> {
        let Some(mut power) = self.power.take() else {
            return Ok(());
        };
        let poweroff = ["systemctl", "poweroff"];
        command::run(self.inside(&power.init).args(poweroff), b"", COMMAND)?;
        wait::until("the end of the machine", DOWN, || {
            match power.holder.is_running() {
                true => Err("running".to_owned()),
                false => Ok(()),
            }
        })?;
        power.wait_for_the_end()
    }

    /// Runs a program on the machine.
    pub fn run(&self, program: &[&str]) -> Result<Output, Error> {
        command::run(self.command()?.args(program), b"", COMMAND)
    }

    /// Runs a shell script on the machine; its output, or what went wrong.
    pub fn sh(&self, script: &str) -> Result<String, Error> {
        let output = self.run(&["sh", "-ec", script])?;
        let output = output.success();
        output
            .map(str::to_owned)
            .map_err(|error| Error::Setup(format!("{script}: {error}")))
    }

    /// As [`Machine::sh`]; a failure is a failure of the test.
    #[track_caller]
    pub fn ok(&self, script: &str) -> String {
        self.sh(script).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Installs swarmrsd in front of the engine, as its package does, and waits until it answers.
    pub fn add_swarmrs(&self) -> Result<(), Error> {
        self.hand_in(&tested_binary()?, "swarmrsd")?;
        self.sh("install /share/swarmrsd /usr/bin/swarmrsd")?;
        for unit in UNITS {
            self.hand_in(&workspace().join("contrib/systemd").join(unit), unit)?;
            self.sh(&format!(
                "install -m 644 /share/{unit} /usr/lib/systemd/system/{unit}"
            ))?;
        }
        self.sh(&format!(
            "systemctl enable --quiet --now {}",
            UNITS.join(" ")
        ))?;
        self.wait_for_swarmrs()
    }

    /// Waits until swarmrsd answers.
    pub fn wait_for_swarmrs(&self) -> Result<(), Error> {
        let ask = format!(
            "curl --silent --fail --max-time 5 --unix-socket {SOCKET} http://d/swarmrs/v1/read/version"
        );
        wait::until("an answer of swarmrsd", UP, || {
            let asked = self
                .run(&["sh", "-c", &ask])
                .map_err(|error| error.to_string())?;
            match asked.status {
                0 => Ok(()),
                _ => Err(self
                    .sh("journalctl --unit swarmrsd --lines 20")
                    .unwrap_or_default()),
            }
        })
    }

    /// Runs the stock command against swarmrsd.
    pub fn docker(&self, args: &[&str]) -> Result<String, Error> {
        let host = format!("unix://{SOCKET}");
        self.run(&[&["docker", "--host", &host], args].concat())?
            .success()
            .map(str::to_owned)
    }

    /// Creates a service of two `sleep`s under that name and waits until it runs; `flags` are those of `service create`.
    pub fn sleepers(&self, name: &str, flags: &[&str]) -> Result<(), Error> {
        let create = ["service", "create", "--quiet", "--no-resolve-image"];
        let named = ["--name", name, "--replicas", "2"];
        let command = [IMAGE, "sleep", "600"];
        self.docker(&[&create[..], &named, flags, &command].concat())
            .map(drop)
    }

    /// Copies a file into `/share`.
    pub fn hand_in(&self, file: &Path, name: &str) -> Result<(), Error> {
        let to = self.files.join("share").join(name);
        fs::copy(file, &to).tried(|| format!("copy {} to {}", file.display(), to.display()))?;
        Ok(())
    }

    /// Writes an executable file into `/share`.
    pub fn hand_in_text(&self, name: &str, text: &str) -> Result<(), Error> {
        let to = self.files.join("share").join(name);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).tried(|| format!("make {}", folder.display()))?;
        }
        fs::write(&to, text).tried(|| format!("write {}", to.display()))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))
            .tried(|| format!("set the mode of {}", to.display()))
    }

    /// A command that enters the machine and becomes the program given as its first argument.
    pub fn command(&self) -> Result<Command, Error> {
        self.init().map(|init| self.inside(init))
    }

    /// The process whose network namespace is the machine's.
    pub(super) fn init(&self) -> Result<&str, Error> {
        let power = self.power.as_ref();
        power.map_or_else(
            || Err(Error::Setup("the machine is off".to_owned())),
            |power| Ok(power.init.as_str()),
        )
    }

    fn inside(&self, init: &str) -> Command {
        let mut command = self.site.command("/usr/bin/nsenter");
        command.args([
            "--target", init, "--mount", "--net", "--uts", "--ipc", "--pid", "--cgroup",
        ]);
        command.args(["--wdns=/root", "env", "HOME=/root"]);
        command
    }

    fn load_image(&self) -> Result<(), Error> {
        let tar = image::archive(self.site.path())?;
        self.hand_in(&tar, "image.tar")?;
        let change = "--change 'ENV PATH=/bin' --change 'CMD [\"sh\"]'";
        self.sh(&format!("docker import {change} /share/image.tar {IMAGE}"))
            .map(drop)
    }

    fn log(&self) -> PathBuf {
        self.files.join("machine.log")
    }
}

/// Makes the Debian package of what is tested, under a version of the caller's, in `/share`.
pub fn package(machine: &Machine, version: &str) -> Result<(), Error> {
    package_into(&machine.files.join("share"), version)
}

/// Makes the Debian package of what is tested, under a version of the caller's, in the folder `output`.
pub fn package_into(output: &Path, version: &str) -> Result<(), Error> {
    let programs = output.with_extension("programs");
    fs::create_dir_all(&programs).tried(|| format!("make {}", programs.display()))?;
    for (program, name) in [
        (tested_binary()?, "swarmrsd"),
        (plugin()?, "docker-swarmrs"),
    ] {
        // Without what only a debugger reads, as shipped: a tenth to write and compress.
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(programs.join(name)).arg(program);
        command::run(&mut strip, b"", COMMAND)?.success()?;
    }
    let mut make = Command::new("bash");
    make.arg(workspace().join("contrib/package.sh"))
        .arg("--programs")
        .arg(programs);
    make.args(["--version", version]).arg(output);
    command::run(&mut make, b"", COMMAND)?.success().map(drop)
}

impl Power {
    /// The kernel ends every process of a machine with its init; the last one takes init's entry along.
    fn wait_for_the_end(&self) -> Result<(), Error> {
        let entry = Path::new("/proc").join(&self.init);
        wait::until("the end of init", DOWN, || {
            let status = fs::read_to_string(entry.join("status")).unwrap_or_default();
            let gone = status.is_empty() || status.contains("State:\tZ");
            if gone { Ok(()) } else { Err(status) }
        })
    }
}

/// The only child of a process.
fn child_of(pid: i32) -> Option<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let init = children.split_whitespace().next()?;
    // Before that it is the script that lays the machine out.
    let program = fs::read_link(format!("/proc/{init}/exe")).ok()?;
    program
        .ends_with("systemd/systemd")
        .then(|| init.to_owned())
}
