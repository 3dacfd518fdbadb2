//! What the process denies and allows itself.

use std::io;

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// No core file, whatever the system's limits say, and no debugger of another user: the memory holds private keys, tokens and
/// secrets, and none of it may reach a disk. Root can still look.
pub(super) fn refuse_core_dumps() -> io::Result<()> {
    set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}

/// As many open files as the system lets us have: an attached stream takes two, and the usual limit is 1,024.
pub(super) fn allow_open_files() -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(())
}
