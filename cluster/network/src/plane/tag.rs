//! A few letters that keep one daemon's links and tables apart from another's on the same host.

use sha2::{Digest, Sha256};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Four hexadecimal digits of the exec root's digest: with the two letters before and eight digits behind, a link's
/// name stays below the kernel's 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(String);

impl Tag {
    /// The tag of the daemon with this exec root.
    pub fn of(exec_root: &Path) -> Tag {
        let digest = Sha256::digest(exec_root.as_os_str().as_bytes());
        Tag(format!("{:02x}{:02x}", digest[0], digest[1]))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
