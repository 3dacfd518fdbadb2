//! Network namespaces, kept by a mount and entered by a thread of its own.

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The calling thread's own.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace: the file that names it, open.
pub(crate) struct Namespace {
    path: PathBuf,
    file: File,
}

impl Namespace {
    /// The calling thread's.
    pub(crate) fn own() -> io::Result<Namespace> {
        let path = PathBuf::from(OWN);
        let file = File::open(&path)?;
        Ok(Namespace { path, file })
    }

    /// A new one, mounted on `path` and so kept when nobody is in it.
    pub(crate) fn create(path: &Path) -> io::Result<Namespace> {
        File::create(path)?;
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            mount(
                Some(OWN),
                path,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )?;
            Ok(())
        });
        if made.is_err() {
            fs::remove_file(path)?;
        }
        made?;
        Namespace::open(path)
    }

    /// One that is mounted on `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Namespace> {
        let file = File::open(path)?;
        let path = path.to_owned();
        Ok(Namespace { path, file })
    }

    /// Does something inside it. Sockets opened there stay there.
    pub(crate) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            work()
        })
    }

    /// Takes the name away; the kernel ends the namespace once nobody has it open.
    pub(crate) fn remove(self) -> io::Result<()> {
        unmount(&self.path)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Takes a namespace's mount and file away. A file without a mount is of a half-made one.
pub(crate) fn unmount(path: &Path) -> io::Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(nix::Error::EINVAL) => fs::remove_file(path),
        Err(nix::Error::ENOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A namespace is a thread's own: the one that entered it ends with the work and is never reused.
fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("namespace".to_owned());
        let thread = thread.spawn_scoped(scope, work)?;
        let ended = |_| io::Error::other("the thread in the namespace has ended");
        thread.join().map_err(ended)?
    })
}

/// Sets one of the kernel's values of the calling thread's namespace.
pub(crate) fn set(name: &str, value: &str) -> io::Result<()> {
    fs::write(file_of(name), value)
}

/// Reads one; None if the kernel has none of the name.
pub(crate) fn get(name: &str) -> Option<String> {
    let text = fs::read_to_string(file_of(name)).ok()?;
    Some(text.trim().to_owned())
}

fn file_of(name: &str) -> PathBuf {
    Path::new("/proc/sys/net").join(name)
}
