//! The mount that holds the files: memory that is never swapped out where the kernel can promise that.

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use tracing::info;

/// Linux 6.4 and newer.
const NEVER_SWAPPED: &str = "mode=0700,noswap";
const PLAIN: &str = "mode=0700";

/// Mounts it, unless it is mounted. A mount below a shared one shows in the engine's namespace too; whether it does is
/// found out by the engine, which refuses to mount files that it does not see.
pub fn ensure(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    if is_mounted(folder)? {
        return Ok(());
    }
    let option = match mount_with(folder, NEVER_SWAPPED) {
        Err(Errno::EINVAL) => {
            mount_with(folder, PLAIN)?;
            PLAIN
        }
        mounted => {
            mounted?;
            NEVER_SWAPPED
        }
    };
    info!(path = %folder.display(), option, "tmpfs for secrets and configs mounted");
    Ok(())
}

/// Takes it away. Containers that still mount files of it keep them.
pub fn end(folder: &Path) -> io::Result<()> {
    match is_mounted(folder) {
        Ok(true) => umount2(folder, MntFlags::MNT_DETACH)?,
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::remove_dir(folder)
}

fn mount_with(folder: &Path, options: &str) -> Result<(), Errno> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("swarmrs"), folder, Some("tmpfs"), flags, Some(options))
}

/// A tmpfs of its own: one that only lies below it (`/run`) may be swapped out.
fn is_mounted(folder: &Path) -> io::Result<bool> {
    let own = fs::metadata(folder)?.dev();
    let parent = fs::metadata(folder.parent().unwrap_or(folder))?.dev();
    Ok(own != parent && statfs(folder)?.filesystem_type() == TMPFS_MAGIC)
}
