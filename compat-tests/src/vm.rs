//! A virtual machine with systemd and the stock engine: for what namespaces cannot show, which is a kernel that ends.
//!
//! ```text
//!   Image  ──base──▶ disk.qcow2 (one machine's own) ─▶ qemu ◀─ serial port: one shell per call
//!   Files  ──────▶ files.raw, at /files ───────────────┘
//! ```
//!
//! It runs under plain emulation, slowly: it shows what happens, never how fast. A power cut is the end of qemu by
//! SIGKILL: the guest's page cache is lost, and so is what it wrote to new places of the disk and never flushed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::command::{self, Output};
use crate::error::{Error, Tried};
use crate::testbed::{Process, RunDir};
use crate::wait;

const IMAGE: &str = include_str!("vm/image.sh");
const BUILD: Duration = Duration::from_secs(15 * 60);
const BOOT: Duration = Duration::from_secs(5 * 60);
const PACK: Duration = Duration::from_secs(60);
/// One look at the machine: a script of several commands takes its time there.
const PROBE: Duration = Duration::from_secs(60);

/// The parts that all machines share: kernel, initramfs and the disk that each lays its own changes over.
pub struct Image(PathBuf);

impl Image {
    /// Makes the parts, or finds them from an earlier run: in `SWARMRS_VM_DIR`, else in the folder for temporary files.
    pub fn make() -> Result<Self, Error> {
        let folder = std::env::var_os("SWARMRS_VM_DIR").map_or_else(
            || std::env::temp_dir().join("swarmrs-vm-image"),
            PathBuf::from,
        );
        let mut build = Command::new("/bin/sh");
        build.args(["-c", IMAGE, "image"]).arg(&folder);
        command::run(&mut build, b"", BUILD)?.success()?;
        Ok(Self(folder))
    }
}

/// One machine. Its disk keeps what was written, over reboots and power cuts, until it is dropped.
pub struct Machine {
    // Fields drop in order: the machine before its folder.
    qemu: Option<Process>,
    image: Image,
    run: RunDir,
}

impl Machine {
    /// A machine with a disk of its own, switched on. What is in the folder `files` now it sees at `/files`.
    pub fn start(image: Image, files: &Path) -> Result<Self, Error> {
        let run = RunDir::create()?;
        let mut machine = Self {
            qemu: None,
            image,
            run,
        };
        machine.lay_out_disks(files)?;
        machine.power_on()?;
        let mount = "mkdir -p /files && mount -o ro /dev/vdb /files";
        machine.shell(mount, PACK)?.success()?;
        Ok(machine)
    }

    fn lay_out_disks(&self, files: &Path) -> Result<(), Error> {
        let mut layer = Command::new("qemu-img");
        layer.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]);
        layer
            .arg(self.image.0.join("base.raw"))
            .arg(self.file("disk.qcow2"));
        command::run(&mut layer, b"", PACK)?.success()?;
        let mut pack = Command::new("mkfs.ext4");
        pack.args(["-q", "-F", "-d"]).arg(files);
        pack.arg(self.file("files.raw")).arg("512M");
        command::run(&mut pack, b"", PACK)?.success().map(drop)
    }

    /// Switches the machine on and waits until it answers.
    pub fn power_on(&mut self) -> Result<(), Error> {
        let mut qemu = self.run.site().command("qemu-system-x86_64");
        qemu.args(["-M", "q35", "-cpu", "Nehalem", "-smp", "2", "-m", "1024"])
            .args(["-accel", "tcg,thread=multi", "-display", "none"])
            .args(["-nodefaults", "-no-user-config"])
            .arg("-kernel")
            .arg(self.image.0.join("kernel"))
            .arg("-initrd")
            .arg(self.image.0.join("initrd"))
            // Without AppArmor's tools an engine on a kernel that has AppArmor starts no container.
            .args(["-append", "console=ttyS0 apparmor=0 panic=1 quiet"])
            .arg("-serial")
            .arg(format!("file:{}", self.file("console.log").display()))
            .args(drive(&self.file("disk.qcow2"), "qcow2"))
            .args(drive(&self.file("files.raw"), "raw"))
            .args(["-device", "virtio-serial", "-chardev"])
            .arg(format!(
                "socket,id=shell,path={},server=on,wait=off",
                self.file("shell.sock").display()
            ))
            .args(["-device", "virtserialport,chardev=shell,name=shell"]);
        self.qemu = Some(Process::start(&mut qemu, &self.file("qemu.log"))?);
        self.wait_for("the machine's start", "true", BOOT)
    }

    /// Takes the machine's power away, whatever it is doing.
    pub fn cut_power(&mut self) {
        self.qemu = None;
    }

    /// Reboots in order and waits until the machine answers again.
    pub fn reboot(&mut self) -> Result<(), Error> {
        let id = "cat /proc/sys/kernel/random/boot_id";
        let before = self.shell(id, PROBE)?.success()?.to_owned();
        // The answer may be lost with the machine.
        drop(self.shell("systemctl reboot", PROBE));
        wait::until("the reboot", BOOT, || match self.shell(id, PROBE) {
            Ok(output) if output.status == 0 && output.stdout.trim() != before => Ok(()),
            Ok(output) => Err(output.stdout),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Runs a script; what it says on either stream is the output's.
    pub fn shell(&self, script: &str, limit: Duration) -> Result<Output, Error> {
        let mut lines = self.stream(script, limit)?;
        let stdout = lines.by_ref().collect::<Result<String, Error>>()?;
        let ended = || Error::Answer(format!("the machine was lost during {script:?}"));
        Ok(Output {
            status: lines.status.ok_or_else(ended)?,
            stdout,
            stderr: String::new(),
        })
    }

    /// Starts a script and hands out its lines as they come; `limit` bounds the silence between them.
    pub fn stream(&self, script: &str, limit: Duration) -> Result<Lines, Error> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let what = || format!("speak to the machine about {script:?}");
        let mark = format!("script-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut port = UnixStream::connect(self.file("shell.sock")).tried(what)?;
        port.set_read_timeout(Some(limit)).tried(what)?;
        let text = format!(
            "echo begin {mark}; (\n{script}\n) 2>&1 </dev/null; s=$?; echo; echo end {mark} $s\n"
        );
        port.write_all(text.as_bytes()).tried(what)?;
        Ok(Lines {
            port: BufReader::new(port),
            mark,
            begun: false,
            status: None,
        })
    }

    /// Waits until a script succeeds in the machine.
    pub fn wait_for(&self, what: &str, script: &str, limit: Duration) -> Result<(), Error> {
        wait::until(what, limit, || match self.shell(script, PROBE) {
            Ok(output) if output.status == 0 => Ok(()),
            Ok(output) => Err(output.stdout),
            Err(error) => Err(error.to_string()),
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.run.site().path().join(name)
    }
}

/// Flushes of the guest are flushes of the file; nothing else is.
fn drive(file: &Path, format: &str) -> [String; 2] {
    let file = file.display();
    let text = format!("file={file},format={format},if=virtio,cache=none");
    ["-drive".to_owned(), text]
}

/// What a script says, line by line with their ends.
pub struct Lines {
    port: BufReader<UnixStream>,
    /// What a script before it has left to say is not this one's.
    mark: String,
    begun: bool,
    /// The script's exit code, once it has ended.
    pub status: Option<i32>,
}

impl Lines {
    fn line(&mut self) -> Result<Option<String>, Error> {
        loop {
            let mut bytes = Vec::new();
            let read = self.port.read_until(b'\n', &mut bytes);
            if read.tried(|| "listen to the machine".to_owned())? == 0 {
                return Ok(None);
            }
            let line = String::from_utf8_lossy(&bytes).into_owned();
            let end = line.strip_prefix("end ").map(str::trim_end);
            match end.and_then(|end| end.strip_prefix(&self.mark)) {
                Some(code) => {
                    self.status = code.trim().parse().ok();
                    return Ok(None);
                }
                None if self.begun => return Ok(Some(line)),
                None => self.begun = line.trim_end().ends_with(&format!("begin {}", self.mark)),
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line().transpose()
    }
}
