//! What the driver is called in the engine, and where its socket is.

use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The exec-root of the one daemon that most machines have.
const USUAL_EXEC_ROOT: &str = "/run/swarmrs";
/// Where dockerd looks for sockets of plug-ins, whatever its own flags say. Source: moby `pkg/plugins/discovery_unix.go`.
const PLUGINS: &str = "/run/docker/plugins";
const USUAL: &str = "swarmrs";

/// The driver's name, one for each exec-root, so that several daemons share a host.
pub fn driver_name(exec_root: &Path) -> String {
    match exec_root == Path::new(USUAL_EXEC_ROOT) {
        true => USUAL.to_owned(),
        false => format!("{USUAL}-{}", digest(exec_root)),
    }
}

/// Eight hexadecimal digits that tell this exec-root from others.
pub fn digest(exec_root: &Path) -> String {
    let sum = Sha256::digest(exec_root.as_os_str().as_encoded_bytes());
    sum.iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Where the engine looks for the driver of that name.
pub fn socket(name: &str) -> PathBuf {
    Path::new(PLUGINS).join(format!("{name}.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_daemon_has_the_plain_name_and_others_have_their_own() {
        assert_eq!(driver_name(Path::new("/run/swarmrs")), "swarmrs");
        let other = driver_name(Path::new("/run/other"));
        assert_eq!(other.len(), "swarmrs-".len() + 8);
        assert_ne!(other, driver_name(Path::new("/run/another")));
        assert_eq!(other, driver_name(Path::new("/run/other")));
    }
}
