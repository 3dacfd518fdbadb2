//! The test image: busybox alone, imported, since no registry is reachable from a testbed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command;
use crate::error::{Error, Tried};

/// The image's name in every engine of a testbed.
pub const IMAGE: &str = "swarmrs-test/busybox:latest";

pub const BUSYBOX: &str = "/bin/busybox";
const LIMIT: Duration = Duration::from_secs(30);

/// Writes the image as a tar file into `dir` and says where.
pub fn archive(dir: &Path) -> Result<PathBuf, Error> {
    let tar = dir.join("busybox.tar");
    if tar.exists() {
        return Ok(tar);
    }
    let root = dir.join("busybox-root");
    lay_out(&root)?;
    let mut pack = Command::new("tar");
    pack.arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
    command::run(&mut pack, b"", LIMIT)?.success()?;
    Ok(tar)
}

fn lay_out(root: &Path) -> Result<(), Error> {
    for folder in ["bin", "etc", "tmp", "www", "proc", "sys", "dev"] {
        std::fs::create_dir_all(root.join(folder))
            .tried(|| format!("make {folder} of the test image"))?;
    }
    std::fs::copy(BUSYBOX, root.join("bin/busybox")).tried(|| format!("copy {BUSYBOX}"))?;
    let applets = command::run(Command::new(BUSYBOX).arg("--list"), b"", LIMIT)?;
    // busybox lists itself; a link of that name would replace the program by a link to itself.
    for applet in applets.success()?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).tried(|| format!("link {applet}"))?;
    }
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    )
    .and_then(|()| std::fs::write(root.join("www/index.html"), "swarmrs\n"))
    .tried(|| "write the test image".to_owned())
}
