//! Whether a container's network namespace is still there.

use std::path::Path;

use nix::sys::statfs::{FsType, statfs};

/// Of namespaces. Source: `NSFS_MAGIC` in Linux' `magic.h`.
const NAMESPACES: FsType = FsType(0x6e73_6673);

/// Whether the file stands for a namespace. The engine makes an ordinary file first and binds the namespace on it a little
/// later, and takes both away with the container.
pub fn lives(file: &Path) -> bool {
    statfs(file).is_ok_and(|found| found.filesystem_type() == NAMESPACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_lives_and_an_ordinary_file_does_not() {
        assert!(lives(Path::new("/proc/self/ns/net")));
        assert!(!lives(Path::new("/proc/self/status")));
        assert!(!lives(Path::new("/nowhere")));
    }
}
