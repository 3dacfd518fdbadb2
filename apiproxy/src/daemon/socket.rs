//! The sockets that clients come in by: made whole, under the right owner, never under a live one.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::unistd::{Gid, Group, chown};
use tokio::net::UnixListener;

use super::Error;

/// Who may use the sockets if nobody is named.
const DEFAULT_GROUP: &str = "docker";
/// Whoever may write to it is root on this machine.
const MODE: u32 = 0o660;

/// The group that shall own the sockets; `None`: root's.
///
/// # Errors
/// If a group was named and is not there.
pub(super) fn group(named: Option<&str>) -> Result<Option<Gid>, Error> {
    let name = named.unwrap_or(DEFAULT_GROUP);
    let found = Group::from_name(name).ok().flatten();
    match (found, named) {
        (Some(group), _) => Ok(Some(group.gid)),
        (None, None) => Ok(None),
        (None, Some(name)) => Err(Error::NoGroup(name.to_owned())),
    }
}

/// Listens on a unix socket.
///
/// It is made under another name and moved into place when mode and owner are right, so that nobody can come in before. A
/// file that is left of a daemon that is gone is replaced.
///
/// # Errors
/// If somebody listens there, or the file cannot be made.
pub(super) fn bind(path: &Path, group: Option<Gid>) -> Result<UnixListener, Error> {
    if UnixStream::connect(path).is_ok() {
        let path = path.display().to_string();
        return Err(Error::InUse { path });
    }
    place(path, group).map_err(|error| Error::path(path, error))
}

fn place(path: &Path, group: Option<Gid>) -> io::Result<UnixListener> {
    refuse_other_files(path)?;
    fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&draft)?;
    fs::set_permissions(&draft, Permissions::from_mode(MODE))?;
    if group.is_some() {
        chown(&draft, None, group)?;
    }
    fs::rename(&draft, path)?;
    Ok(listener)
}

/// Only sockets are replaced: a path that was mistyped must not cost a file.
fn refuse_other_files(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the file is there and is no socket",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/docker.sock");
        drop(bind(&path, None).unwrap());
        assert!(path.exists());
        let _listener = bind(&path, None).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
    }

    #[tokio::test]
    async fn a_live_socket_is_left_to_whoever_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let _listener = bind(&path, None).unwrap();
        assert!(matches!(bind(&path, None), Err(Error::InUse { .. })));
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "x").unwrap();
        assert!(matches!(bind(&path, None), Err(Error::Path { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    }

    #[test]
    fn a_named_group_must_exist() {
        assert!(matches!(
            group(Some("no-such-group")),
            Err(Error::NoGroup(_))
        ));
        assert!(group(None).is_ok());
    }
}
