//! Has the holder share a connection, so that it stays open when swarmrsd alone is gone (`holder::lifeline`).

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::debug;

use super::Error;
use super::client::{BACK_OFF, Handle, Inner, converse, unexpected};
use crate::holder::control::{Call, Reply};
use crate::holder::lifeline;

/// Dropped, it has the holder let go of the connection.
#[derive(Debug)]
pub struct Held {
    /// Nothing is ever sent.
    _release: oneshot::Sender<Infallible>,
}

impl Handle {
    /// Has the holder share the socket until what is given back is dropped, or this process is gone for a while. A holder
    /// that is started anew is given it again.
    pub fn keep(&self, socket: OwnedFd) -> Held {
        let (release, released) = oneshot::channel();
        tokio::spawn(keep(self.inner.clone(), socket, released));
        Held { _release: release }
    }
}

async fn keep(inner: Arc<Inner>, socket: OwnedFd, mut released: oneshot::Receiver<Infallible>) {
    loop {
        let Err(error) = give(&inner, &socket, &mut released).await else {
            return;
        };
        debug!(%error, "no holder shares the session's connection");
        tokio::select! {
            _ = &mut released => return,
            () = sleep(BACK_OFF) => {}
        }
    }
}

/// Gives it to the holder there is; comes back when it is to let go, or is gone.
async fn give(
    inner: &Inner,
    socket: &OwnedFd,
    released: &mut oneshot::Receiver<Infallible>,
) -> Result<(), Error> {
    let stream = UnixStream::connect(inner.launch.socket()).await;
    let mut stream = stream.map_err(Error::Away)?;
    match converse(&mut stream, Call::Keep)
        .await
        .map_err(Error::Away)?
    {
        Reply::Done => {}
        other => return Err(unexpected(other)),
    }
    let sent = lifeline::send(&stream, socket.as_fd()).await;
    sent.map_err(Error::Away)?;
    tokio::select! {
        _ = released => {
            // One that is gone has let go of it.
            let _ = stream.write_u8(b'r').await;
            return Ok(());
        }
        _ = stream.read_u8() => {}
    }
    Err(Error::Away(io::ErrorKind::UnexpectedEof.into()))
}
