//! A file system of its own on a loop device, to be filled, cut off and thrown away. Needs root;
//! without it, or without loop devices, the test fails.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted ext4 image.
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    /// An empty disk of so many MiB.
    pub fn new(mib: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(mib * 1024 * 1024).expect("a length");
        run("mkfs.ext4", &["-q", "-m", "0", text(&image)]);
        Self::mounted(image, folder)
    }

    /// What would be found after a power cut now: the blocks that reached the disk, and nothing of
    /// what the kernel still holds.
    pub fn after_power_cut(&self) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        std::fs::copy(&self.image, &image).expect("can be copied");
        Self::mounted(image, folder)
    }

    fn mounted(image: PathBuf, folder: tempfile::TempDir) -> Self {
        let mount = folder.path().join("mount");
        std::fs::create_dir(&mount).expect("a mount point");
        // The journal writes by itself as rarely as it may: only what was synced is safe.
        let options = "loop,commit=60";
        run("mount", &["-o", options, text(&image), text(&mount)]);
        Disk {
            image,
            mount,
            _folder: folder,
        }
    }

    pub fn path(&self) -> &Path {
        &self.mount
    }

    pub fn free(&self) -> u64 {
        let stat = nix::sys::statvfs::statvfs(&self.mount).expect("is mounted");
        stat.blocks_available() * stat.fragment_size()
    }

    /// Fills the disk until only `left` bytes are free.
    pub fn fill(&self, left: u64) {
        let ballast = std::fs::File::create(self.ballast()).expect("a file");
        for step in [1 << 20, 1 << 16, 1 << 12] {
            let piece = vec![7; step as usize];
            while self.free() >= left + step {
                let mut file = &ballast;
                if std::io::Write::write_all(&mut file, &piece).is_err() {
                    break;
                }
            }
        }
        ballast.sync_all().expect("is on the disk");
    }

    /// Frees what was filled.
    pub fn relieve(&self) {
        std::fs::remove_file(self.ballast()).expect("can be removed");
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.mount).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.mount.display());
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("is text")
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} (as root?): {said}"
    );
}
