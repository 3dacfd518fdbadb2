//! A small server and its clients: connections, requests, and bytes in bulk.
//!
//! Clients close with a reset, so that thousands of connections leave no port waiting behind them.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{self, setsockopt, sockopt};

use super::report::median;
use super::space::Space;
use crate::Error;
use crate::error::Tried;

const PATIENCE: Duration = Duration::from_secs(10);
/// What a request asks for: this many bytes. A page of a small API.
const PAGE: u64 = 256;
const MIB: u64 = 1 << 20;
/// How much one look at a path's speed carries.
const BULK: u64 = 128 * MIB;
/// Requests in one look.
const REQUESTS: u32 = 100;

/// Sends as many bytes as each client asks for, one client after another. Dropped, it ends and its port is free.
pub(super) struct Server {
    listener: TcpListener,
    last_client: Arc<Mutex<Option<IpAddr>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a port of all addresses of the namespace.
    pub fn start(space: &Space, port: u16) -> Result<Self, Error> {
        let listener = space.within(|| {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            TcpListener::bind(any).tried(|| format!("listen on {any}"))
        })?;
        let last_client = Arc::<Mutex<_>>::default();
        let copy = listener
            .try_clone()
            .tried(|| "keep a listener".to_owned())?;
        let noted = Arc::clone(&last_client);
        let serving = move || serve(&copy, &noted);
        Ok(Self {
            listener,
            last_client,
            thread: Some(std::thread::spawn(serving)),
        })
    }

    /// Whom the server took its last client for.
    pub fn last_client(&self) -> Option<IpAddr> {
        *self
            .last_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A listener that was shut down accepts nobody: its thread ends.
        socket::shutdown(self.listener.as_raw_fd(), socket::Shutdown::Both).ok();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(listener: &TcpListener, last_client: &Mutex<Option<IpAddr>>) {
    let block = vec![0; 128 * 1024];
    while let Ok((stream, client)) = listener.accept() {
        *last_client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.ip());
        // A client that only connects is gone by now.
        drop(answer(stream, &block));
    }
}

fn answer(mut stream: TcpStream, block: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let mut left = u64::from_be_bytes(length);
    while left > 0 {
        let size = left.min(block.len() as u64);
        stream.write_all(&block[..size as usize])?;
        left -= size;
    }
    stream.shutdown(Shutdown::Write)
}

fn connect(address: SocketAddr) -> Result<TcpStream, Error> {
    let connected = TcpStream::connect_timeout(&address, PATIENCE);
    let stream = connected.tried(|| format!("connect to {address}"))?;
    let reset_at_end = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream, sockopt::Linger, &reset_at_end)
        .map_err(|error| Error::Setup(format!("set how a connection ends: {error}")))?;
    Ok(stream)
}

/// Microseconds that a connection takes.
fn connecting(address: SocketAddr) -> Result<f64, Error> {
    let began = Instant::now();
    let stream = connect(address)?;
    let took = began.elapsed().as_secs_f64() * 1e6;
    drop(stream);
    Ok(took)
}

/// Asks for `length` bytes on a connection of its own and reads them all.
fn ask(address: SocketAddr, length: u64) -> Result<(), Error> {
    let mut stream = connect(address)?;
    let (tried, mut sink) = (|| format!("ask {address}"), vec![0; 256 * 1024]);
    stream.set_read_timeout(Some(PATIENCE)).tried(tried)?;
    stream.write_all(&length.to_be_bytes()).tried(tried)?;
    let mut left = length;
    while left > 0 {
        match stream.read(&mut sink).tried(tried)? {
            0 => return Err(Error::Answer(format!("{left} bytes too few"))),
            read => left -= read as u64,
        }
    }
    Ok(())
}

/// Requests per second, each on a connection of its own.
fn requests(address: SocketAddr) -> Result<f64, Error> {
    let began = Instant::now();
    for _ in 0..REQUESTS {
        ask(address, PAGE)?;
    }
    Ok(f64::from(REQUESTS) / began.elapsed().as_secs_f64())
}

/// MiB per second on one connection.
fn bulk(address: SocketAddr) -> Result<f64, Error> {
    let began = Instant::now();
    ask(address, BULK)?;
    Ok((BULK / MIB) as f64 / began.elapsed().as_secs_f64())
}

/// What is measured of a way to a server.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// Microseconds that a connection takes.
    Connecting,
    /// Requests per second, each on a connection of its own, one after another.
    Requests,
    /// MiB per second of one connection.
    Bulk,
}

impl Measure {
    fn take(self, address: SocketAddr) -> Result<f64, Error> {
        match self {
            Self::Connecting => connecting(address),
            Self::Requests => requests(address),
            Self::Bulk => bulk(address),
        }
    }

    /// Looks in one run: of what is short more, so that a run takes about a second.
    fn looks(self) -> usize {
        match self {
            Self::Connecting => 2_000,
            Self::Requests => 30,
            Self::Bulk => 7,
        }
    }
}

/// Medians of two ways, looked at in turns from one namespace. Which goes first changes from look to look.
pub(super) fn compare(
    space: &Space,
    measure: Measure,
    ours: SocketAddr,
    other: SocketAddr,
) -> Result<(f64, f64), Error> {
    space.within(|| {
        let (mut of_ours, mut of_other) = (Vec::new(), Vec::new());
        for look in 0..measure.looks() {
            if look % 2 == 0 {
                of_ours.push(measure.take(ours)?);
                of_other.push(measure.take(other)?);
            } else {
                of_other.push(measure.take(other)?);
                of_ours.push(measure.take(ours)?);
            }
        }
        Ok((median(of_ours), median(of_other)))
    })
}
