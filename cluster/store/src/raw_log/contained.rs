//! What an engine does wrong stays in it: a panic inside becomes an error.
//!
//! Both engines meet some damaged files, and sled some full disks, with a panic. That is trouble
//! with the disk and no bug of ours, so a process that ends on panics must not end on these:
//! its hook asks [`panic_is_contained`].

use super::{Contents, RawLog};
use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Whether this thread is inside an engine.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// How many threads are.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// What sled calls the threads that it reads and writes with.
const ENGINE_THREADS: &str = "sled-io-";

/// Whether a panic on the present thread happens inside a log engine, where it is caught and becomes
/// an error of the store.
pub fn panic_is_contained() -> bool {
    let thread = std::thread::current();
    let is_engines = thread.name().is_some_and(|n| n.starts_with(ENGINE_THREADS));
    INSIDE.get() || is_engines && CALLS.load(Ordering::Relaxed) > 0
}

/// Calls into an engine.
pub(crate) fn contain<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    INSIDE.set(true);
    CALLS.fetch_add(1, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(call));
    CALLS.fetch_sub(1, Ordering::Relaxed);
    INSIDE.set(false);
    result.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn panicked(panic: &(dyn Any + Send)) -> io::Error {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "no reason",
    };
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("log engine panicked: {text}"),
    )
}

/// An engine whose panics are errors.
pub(crate) struct Contained(Option<Box<dyn RawLog>>);

impl Contained {
    /// Opens an engine.
    pub(crate) fn open<L: RawLog>(open: impl FnOnce() -> io::Result<L>) -> io::Result<Self> {
        contain(|| Ok(Contained(Some(Box::new(open()?)))))
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut dyn RawLog) -> io::Result<T>) -> io::Result<T> {
        let log = self.0.as_deref_mut().expect("taken only when dropped");
        contain(|| call(log))
    }
}

impl RawLog for Contained {
    fn write(&mut self, puts: &[(u64, Vec<u8>)]) -> io::Result<()> {
        self.call(|log| log.write(puts))
    }

    fn del(&mut self, from: u64, to: u64) -> io::Result<()> {
        self.call(|log| log.del(from, to))
    }

    fn meta(&mut self, name: &str, value: &[u8]) -> io::Result<()> {
        self.call(|log| log.meta(name, value))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.call(|log| log.sync())
    }

    fn load(&mut self) -> io::Result<Contents> {
        self.call(|log| log.load())
    }
}

impl Drop for Contained {
    /// sled syncs when it is closed and panics if that fails.
    fn drop(&mut self) {
        let log = self.0.take();
        let closed = contain(|| {
            drop(log);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::error!(%error, "the log did not close well");
        }
    }
}
