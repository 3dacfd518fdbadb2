//! Connections of swarmrsd that outlive it.
//!
//! A peer takes a broken connection for the end of a machine. So swarmrsd shares the socket of its session with the holder:
//! when swarmrsd alone is killed, the connection stays open and says nothing, and the peer has its usual patience; when all
//! of the machine is gone, it breaks at once. Nobody reads or writes it here.
//!
//! ```text
//!   swarmrsd ──Keep──▶ holder ──Done──▶ the descriptor, with one byte ──▶ another byte: let go
//!                                                                         the end of the stream: swarmrsd is gone
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tracing::info;

/// How long a connection is held whose swarmrsd is gone: it is back by then, or its peer knows by the silence.
const HOLD: Duration = Duration::from_secs(10);

/// Takes a socket over and holds it until swarmrsd lets go of it, or is gone for long.
pub(super) async fn hold(stream: &mut UnixStream) -> io::Result<()> {
    let _socket = receive(stream).await?;
    if stream.read_u8().await.is_err() {
        info!("swarmrsd is gone: its connection is held open for a while");
        tokio::time::sleep(HOLD).await;
    }
    Ok(())
}

/// Sends a descriptor along with a byte.
pub(crate) async fn send(stream: &UnixStream, socket: BorrowedFd<'_>) -> io::Result<()> {
    let rights = [socket.as_raw_fd()];
    let send = || {
        let control = [ControlMessage::ScmRights(&rights)];
        let word = [IoSlice::new(b"k")];
        let to = stream.as_raw_fd();
        let sent = sendmsg::<()>(to, &word, &control, MsgFlags::MSG_NOSIGNAL, None);
        sent.map(drop).map_err(io::Error::from)
    };
    stream.async_io(Interest::WRITABLE, send).await
}

async fn receive(stream: &UnixStream) -> io::Result<OwnedFd> {
    stream
        .async_io(Interest::READABLE, || receive_now(stream.as_raw_fd()))
        .await
}

fn receive_now(from: RawFd) -> io::Result<OwnedFd> {
    let mut word = [0; 1];
    let mut space = nix::cmsg_space!(RawFd);
    let mut into = [IoSliceMut::new(&mut word)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(from, &mut into, Some(&mut space), flags)?;
    let rights = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmRights(rights) => rights.first().copied(),
        _ => None,
    });
    let raw = rights.ok_or_else(|| io::Error::other("no descriptor came"))?;
    #[expect(
        unsafe_code,
        reason = "the kernel has just made it for us, and nobody else has it"
    )]
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    /// A connection, both ends, and a holder that has one of them too.
    async fn held() -> (TcpStream, TcpStream, UnixStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peers, _) = listener.accept().unwrap();
        peers.set_nonblocking(true).unwrap();
        let (daemon, mut holder) = UnixStream::pair().unwrap();
        tokio::spawn(async move { hold(&mut holder).await });
        send(&daemon, ours.as_fd()).await.unwrap();
        (ours, peers, daemon)
    }

    async fn is_open(mut peers: &TcpStream) -> bool {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let read = peers.read(&mut [0; 1]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    #[tokio::test]
    async fn a_connection_outlives_whoever_is_gone_without_a_word() {
        let (ours, peers, daemon) = held().await;
        drop((ours, daemon));
        assert!(is_open(&peers).await);
    }

    #[tokio::test]
    async fn a_connection_ends_with_whoever_lets_go_of_it() {
        use tokio::io::AsyncWriteExt;
        let (ours, peers, mut daemon) = held().await;
        drop(ours);
        assert!(is_open(&peers).await);
        daemon.write_u8(b'r').await.unwrap();
        let ended = tokio::time::timeout(HOLD, async { while is_open(&peers).await {} });
        ended.await.expect("it is held still");
    }
}
