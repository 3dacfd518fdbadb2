//! The plainest thing that can stand between a client and a socket: what any proxy costs at least.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::Error;
use crate::error::Tried;

/// Copies bytes both ways between one client and a socket, a blocking thread for each way, and looks at none.
pub struct Relay {
    socket: PathBuf,
}

impl Relay {
    /// Listens at `socket` for one client, whom it takes to `target`; it ends when either side does.
    pub fn start(socket: PathBuf, target: &Path) -> Result<Self, Error> {
        let listener =
            UnixListener::bind(&socket).tried(|| format!("listen at {}", socket.display()))?;
        let target =
            UnixStream::connect(target).tried(|| format!("connect to {}", target.display()))?;
        thread::spawn(move || {
            if let Ok((client, _)) = listener.accept() {
                join(client, target);
            }
        });
        Ok(Self { socket })
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn join(client: UnixStream, target: UnixStream) {
    let (Ok(from), Ok(to)) = (client.try_clone(), target.try_clone()) else {
        return;
    };
    thread::spawn(move || copy(from, to));
    copy(target, client);
}

fn copy(mut from: UnixStream, mut to: UnixStream) {
    let mut bytes = [0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_both_ways_until_a_side_ends() {
        let folder = std::env::temp_dir().join(format!("swarmrs-relay-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let target = folder.join("target");
        let listener = UnixListener::bind(&target).unwrap();
        let relay = Relay::start(folder.join("relay"), &target).unwrap();
        let mut client = UnixStream::connect(relay.socket()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut four = [0; 4];
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"ping");
        server.write_all(b"pong").unwrap();
        client.read_exact(&mut four).unwrap();
        assert_eq!(&four, b"pong");
        drop(client);
        assert_eq!(server.read(&mut four).unwrap(), 0);
        drop(relay);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
