//! A line between two nodes that can fall silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes bytes both ways, until it is told to pass none. Ends are not passed on then either.
pub struct Line {
    pub address: SocketAddr,
    is_silent: Arc<watch::Sender<bool>>,
    /// Connections that were ever made over it.
    pub met: Arc<AtomicUsize>,
}

impl Line {
    pub async fn to(target: SocketAddr) -> Self {
        Self::slow(target, Duration::ZERO).await
    }

    /// Rests for so long after each 16 KiB.
    pub async fn slow(target: SocketAddr, rest: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_silent = Arc::new(watch::Sender::new(false));
        let silent = is_silent.clone();
        let met = Arc::new(AtomicUsize::new(0));
        let count = met.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let far = TcpStream::connect(target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, silent.subscribe(), rest));
                tokio::spawn(pass(far_in, near_out, silent.subscribe(), rest));
            }
        });
        Line {
            address,
            is_silent,
            met,
        }
    }

    /// From now on nothing passes, on old connections and new ones.
    pub fn fall_silent(&self) {
        self.is_silent.send_replace(true);
    }

    /// New connections pass bytes again, and old ones go on.
    pub fn heal(&self) {
        self.is_silent.send_replace(false);
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut silent: watch::Receiver<bool>,
    rest: Duration,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if silent.wait_for(|silent| !silent).await.is_err() {
            return;
        }
        let length = tokio::select! {
            _ = silent.wait_for(|silent| *silent) => continue,
            length = from.read(&mut buffer) => length.unwrap_or(0),
        };
        if length == 0 || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}
