//! A private dockerd in a network namespace of its own: its own folders, socket and bridge, no firewall rules, and no way
//! to any registry; gone with the value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use tempfile::TempDir;

pub const IMAGE: &str = "busybox:test";

pub struct Dockerd {
    folder: TempDir,
    daemon: Child,
}

impl Dockerd {
    pub fn start() -> Self {
        assert!(
            Uid::effective().is_root(),
            "this test starts its own dockerd and must run as root"
        );
        for program in ["dockerd", "docker", "setpriv", "unshare"] {
            assert!(
                installed(program),
                "this test needs {program} (Debian: docker.io, util-linux)"
            );
        }
        assert!(
            Path::new("/bin/busybox").exists(),
            "this test needs /bin/busybox (Debian: busybox-static)"
        );
        let folder = tempfile::Builder::new()
            .prefix("swarmrs-agent-")
            .tempdir()
            .unwrap();
        let daemon = spawn(folder.path());
        let mut dockerd = Self { folder, daemon };
        dockerd.wait_until_up();
        dockerd.import_busybox();
        dockerd
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub fn stop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.daemon.id()).unwrap());
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if matches!(self.daemon.try_wait(), Ok(Some(_))) {
                return;
            }
            let _ = kill(pid, signal);
            let _ = until(Duration::from_secs(30), || {
                matches!(self.daemon.try_wait(), Ok(Some(_)))
            });
        }
    }

    pub fn start_again(&mut self) {
        self.daemon = spawn(self.folder.path());
        self.wait_until_up();
    }

    /// The stock command against this engine.
    pub fn docker(&self, arguments: &[&str]) -> std::process::Output {
        let host = format!("unix://{}", self.socket().display());
        Command::new("timeout")
            .args(["60", "docker", "-H", &host])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn wait_until_up(&mut self) {
        let up = until(Duration::from_secs(60), || {
            assert!(
                self.daemon.try_wait().unwrap().is_none(),
                "dockerd ended:\n{}",
                self.log()
            );
            self.docker(&["version"]).status.success()
        });
        assert!(up, "dockerd does not answer:\n{}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn import_busybox(&self) {
        let root = self.folder.path().join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in ["sh", "sleep", "echo", "cat", "true", "false", "test", "rm"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        let tar = self.folder.path().join("root.tar");
        let packed = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status()
            .unwrap();
        assert!(packed.success());
        let tar = tar.display().to_string();
        let imported = self.docker(&["import", "--change", "ENV PATH=/bin", &tar, IMAGE]);
        assert!(
            imported.status.success(),
            "{}",
            String::from_utf8_lossy(&imported.stderr)
        );
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.stop();
        unmount(self.folder.path());
    }
}

/// Ended by the kernel too, should the test itself be killed.
fn spawn(folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    Command::new("setpriv")
        .args([
            "--pdeathsig",
            "TERM",
            "unshare",
            "--net",
            "dockerd",
            "--iptables=false",
            "--ip6tables=false",
        ])
        .args([
            "--data-root",
            &at("data"),
            "--exec-root",
            &at("exec"),
            "--pidfile",
            &at("pid"),
        ])
        .args(["-H", &format!("unix://{}", at("engine.sock"))])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// dockerd leaves a bind mount of its network namespace behind.
fn unmount(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let ours: Vec<_> = points
        .filter(|point| Path::new(point).starts_with(folder))
        .collect();
    for point in ours.iter().rev() {
        let _ = Command::new("umount").args(["-l", point]).status();
    }
}

fn installed(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).exists())
}

fn until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
