//! What the process denies itself: its memory holds private keys, tokens and secrets, so none of it may reach a disk.

use std::io;

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

/// No core file, whatever the system's limits say, and no debugger of another user. Root can still look.
pub(super) fn refuse_core_dumps() -> io::Result<()> {
    set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}
