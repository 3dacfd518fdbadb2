//! How faults are made: processes that stand still, packets that go one way only, disks that are slow or full, clocks that
//! are wrong. What ends a fault is the drop of its value, so that a test that fails does not leave it behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swarmrs_compat_tests::Host;

/// A process that stands still.
pub struct Paused(Pid);

impl Paused {
    /// The host's swarmrsd.
    pub fn daemon(host: &Host) -> Self {
        let pid = Pid::from_raw(host.daemon().pid().unwrap());
        kill(pid, Signal::SIGSTOP).unwrap();
        Self(pid)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // It may have been killed meanwhile.
        kill(self.0, Signal::SIGCONT).ok();
    }
}

/// Which packets of a host are lost.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    In,
    Out,
}

/// A host that sends or hears nothing, but not both.
pub struct OneWay<'a>(&'a Host);

impl<'a> OneWay<'a> {
    pub fn cut(host: &'a Host, way: Way) -> Self {
        let (hook, device) = match way {
            Way::In => ("input", "iifname"),
            Way::Out => ("output", "oifname"),
        };
        let rules = format!(
            "add table inet fault; \
             add chain inet fault cut {{ type filter hook {hook} priority -300; }}; \
             add rule inet fault cut {device} eth0 drop"
        );
        host.inside(&["nft", &rules]).unwrap().success().unwrap();
        Self(host)
    }
}

impl Drop for OneWay<'_> {
    fn drop(&mut self) {
        self.0.inside(&["nft", "delete table inet fault"]).ok();
    }
}

/// Has every sync take a second while the file that `SLOW_SYNC` names is there.
const SLOW_SYNC: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static void lag(void) {
    const char *mark = getenv("SLOW_SYNC");
    struct timespec time = {1, 0};
    if (mark && access(mark, F_OK) == 0) nanosleep(&time, NULL);
}
int fsync(int file) { lag(); return syscall(SYS_fsync, file); }
int fdatasync(int file) { lag(); return syscall(SYS_fdatasync, file); }
"#;

/// A library that makes syncs slow, and the file that does it once it is there.
pub struct SlowDisk {
    pub library: PathBuf,
    pub mark: PathBuf,
}

impl SlowDisk {
    pub fn of(host: &Host) -> Self {
        let source = host.write("slow/sync.c", SLOW_SYNC.as_bytes()).unwrap();
        let library = source.with_extension("so");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]);
        let made = compile.arg(&library).arg(&source).status().unwrap();
        assert!(made.success(), "{compile:?}");
        let mark = source.with_extension("slow");
        Self { library, mark }
    }

    /// It is slow until what is returned is dropped.
    pub fn slow(&self) -> Mark {
        std::fs::write(&self.mark, "").unwrap();
        Mark(self.mark.clone())
    }
}

/// A file that is there as long as this.
pub struct Mark(PathBuf);

impl Drop for Mark {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// The library of Debian's faketime.
pub fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let library = |folder: &Path| folder.join("faketime/libfaketime.so.1");
    let mut libraries = folders.map(|folder| library(&folder.path()));
    let found = libraries.find(|library| library.exists());
    found.expect("no libfaketime (Debian: apt-get install faketime)")
}

/// A small disk in the place of a stopped swarmrsd's data root.
pub struct SmallDisk {
    root: PathBuf,
}

impl SmallDisk {
    /// Of so many MiB, with all that was in the data root.
    pub fn under(host: &Host, size: usize) -> Self {
        let root = host.daemon().data_root();
        let script = format!(
            "cp -a \"$1\" \"$1.small\" && mount -t tmpfs -o size={size}m tmpfs \"$1\" && cp -a \"$1.small/.\" \"$1\" && rm -r \"$1.small\""
        );
        shell(host, &script, &root);
        Self { root }
    }

    /// Not a byte is left.
    pub fn fill(&self, host: &Host) {
        shell(
            host,
            "dd if=/dev/zero of=\"$1/ballast\" bs=64k 2>/dev/null || test -s \"$1/ballast\"",
            &self.root,
        );
    }

    /// As much is free as was at first.
    pub fn clear(&self, host: &Host) {
        shell(host, "rm \"$1/ballast\"", &self.root);
    }

    /// Puts everything back onto the host's own disk; swarmrsd is stopped.
    pub fn replace(self, host: &Host) {
        let script = "cp -a \"$1\" \"$1.small\" && umount -l \"$1\" && rm -r \"$1\" && mv \"$1.small\" \"$1\"";
        shell(host, script, &self.root);
    }
}

fn shell(host: &Host, script: &str, argument: &Path) {
    let argument = argument.to_string_lossy();
    let ran = host.inside(&["sh", "-ec", script, "sh", &argument]);
    ran.unwrap().success().unwrap();
}
