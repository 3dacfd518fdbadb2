//! The lane of the quorum: a thread of its own for the connections that keep it together, so that no
//! plan, no JSON and no client ever stands before a heartbeat.

use std::io;
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A running lane; it ends when this is dropped.
#[derive(Debug)]
pub struct Lane {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lane {
    /// # Errors
    /// If the kernel gives no thread or no event queue.
    pub fn start() -> io::Result<Lane> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("quorum".to_owned())
            .spawn(move || {
                // Nothing is ever sent: it ends when the sender is dropped.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Lane {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// What runs on the lane is spawned here.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic on it has ended the process already.
            let _ = thread.join();
        }
    }
}
