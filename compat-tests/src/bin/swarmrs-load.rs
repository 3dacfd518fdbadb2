//! `swarmrs-load serve|ask|once|names|mirror|say|count|resolve|icmp6`: a server that ends politely, and a client that forgives nothing.
//!
//! The server closes its listener when it is told to end and finishes the requests that are open. The client opens a
//! connection for each request, tries nothing twice, and counts as failed what is refused, reset or late. Beside them a
//! server that tells each client by which address it is seen.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{
    Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, ToSocketAddrs, UdpSocket,
};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{
    AddressFamily, MsgFlags, Shutdown, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto,
    setsockopt, shutdown, socket, sockopt,
};
use serde_json::json;

/// As long as a request is worked on: some are open at any time.
const WORK: Duration = Duration::from_millis(5);
/// A request that takes longer has failed.
const LATE: Duration = Duration::from_secs(1);
/// A client that was itself held up for so long (a stopped machine) knows nothing of how long an answer took.
const HELD_UP: Duration = Duration::from_millis(250);
/// Clients side by side.
const CLIENTS: u32 = 10;
/// Between the numbers of a count.
const TICK: Duration = Duration::from_millis(100);
/// Failures that are told in full.
const TOLD: usize = 10;

/// Load on a service: a polite server, and a client that counts failures
#[derive(Parser)]
#[command(name = "swarmrs-load", version)]
enum Arguments {
    /// Answer each connection with the name of this host and $RELEASE, until SIGTERM
    Serve { port: u16 },
    /// Ask this many times a second until SIGTERM, then print what came of it as JSON
    Ask { address: SocketAddr, rate: u32 },
    /// Answer every question of the DNS with this address, until killed
    Names { at: SocketAddr, address: Ipv4Addr },
    /// Ask once; exit 1 without an answer
    Once { address: SocketAddr },
    /// Answer each connection and each datagram with the client's address and what it says, until killed
    Mirror { port: u16 },
    /// Say what comes by standard input and print the answer; exit 1 without one
    Say {
        protocol: Protocol,
        address: SocketAddr,
    },
    /// Count over one connection, or from one socket: say a number, print what comes back, say the next, until killed
    Count {
        protocol: Protocol,
        address: SocketAddr,
        /// Say a number again that was not answered for a second, as users of datagrams do
        #[arg(long)]
        again: bool,
    },
    /// Send what comes by standard input as one message of ICMPv6, as neighbours do: with all hops before it
    Icmp6 { address: SocketAddrV6 },
    /// Print the addresses of a name as the libraries find them, one a line
    Resolve { name: String },
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Tcp,
    Udp,
}

fn main() -> anyhow::Result<()> {
    // Before any thread, so that all of them leave the signal to the one that waits for it.
    let end = SigSet::from(Signal::SIGTERM);
    end.thread_block().context("cannot block SIGTERM")?;
    match Arguments::parse() {
        Arguments::Serve { port } => serve(port, end),
        Arguments::Ask { address, rate } => load(address, rate, end),
        Arguments::Names { at, address } => names(at, address),
        Arguments::Once { address } => ask(address).map(|answer| println!("{answer}")),
        Arguments::Mirror { port } => mirror(port),
        Arguments::Say { protocol, address } => say(protocol, address),
        Arguments::Count {
            protocol,
            address,
            again,
        } => count(protocol, address, again),
        Arguments::Icmp6 { address } => icmp6(address),
        Arguments::Resolve { name } => resolve(&name),
    }
}

fn serve(port: u16, end: SigSet) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).context("cannot listen")?;
    let answer = format!(
        "{} {}",
        std::env::var("HOSTNAME").unwrap_or_default(),
        std::env::var("RELEASE").unwrap_or_default()
    );
    let door = listener.as_raw_fd();
    let closing = Arc::new(AtomicBool::new(false));
    let told = closing.clone();
    thread::spawn(move || {
        if end.wait().is_ok() {
            told.store(true, Ordering::SeqCst);
            // Ends the wait for the next connection.
            shutdown(door, Shutdown::Both).ok();
        }
    });
    let open = Arc::new(AtomicUsize::new(0));
    while !closing.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        open.fetch_add(1, Ordering::SeqCst);
        let (open, answer) = (open.clone(), answer.clone());
        thread::spawn(move || {
            // A client that goes away is its own affair.
            drop(reply(stream, &answer));
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    drop(listener);
    while open.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A name server that knows one answer.
fn names(at: SocketAddr, address: Ipv4Addr) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(at).context("cannot listen")?;
    let mut packet = [0; 512];
    loop {
        let (length, client) = socket.recv_from(&mut packet)?;
        // Header of 12 bytes; the question is a name that ends with a zero, a type and a class.
        let name = packet[..length].iter().skip(12).position(|byte| *byte == 0);
        let Some(end) = name.map(|length| 12 + length + 5) else {
            continue;
        };
        let is_v4 = packet.get(end - 4..end - 2) == Some(&[0, 1]);
        let mut reply = packet[..end.min(length)].to_vec();
        // A reply, no error; one question, as many answers, nothing else.
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
        if is_v4 {
            // The name of the question, an address, of the internet, for a second, four bytes.
            reply.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            reply.extend(address.octets());
        }
        socket.send_to(&reply, client)?;
    }
}

fn mirror(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", port)).context("cannot listen")?;
    let socket = UdpSocket::bind(("0.0.0.0", port)).context("cannot listen")?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(&stream));
        }
    });
    let mut packet = [0; 2048];
    loop {
        let (length, client) = socket.recv_from(&mut packet)?;
        let mut reply = format!("{} ", client.ip()).into_bytes();
        reply.extend(&packet[..length]);
        socket.send_to(&reply, client)?;
    }
}

fn echo(mut stream: &TcpStream) -> std::io::Result<u64> {
    let client = stream.peer_addr()?.ip();
    write!(stream, "{client} ")?;
    std::io::copy(&mut &*stream, &mut stream)
}

fn say(protocol: Protocol, address: SocketAddr) -> anyhow::Result<()> {
    let mut words = Vec::new();
    std::io::stdin().read_to_end(&mut words)?;
    let mut answer = vec![0; 65_536];
    match protocol {
        Protocol::Tcp => {
            let mut stream = TcpStream::connect_timeout(&address, LATE).context("connect")?;
            stream.set_read_timeout(Some(LATE))?;
            stream.write_all(&words).context("send")?;
            stream.shutdown(std::net::Shutdown::Write)?;
            answer.clear();
            stream.read_to_end(&mut answer).context("read")?;
        }
        Protocol::Udp => {
            let socket = talk_to(address)?;
            socket.set_read_timeout(Some(LATE))?;
            socket.send(&words).context("send")?;
            let length = socket.recv(&mut answer).context("read")?;
            answer.truncate(length);
        }
    }
    std::io::stdout().write_all(&answer)?;
    Ok(())
}

/// A socket for datagrams to and from that address alone.
fn talk_to(address: SocketAddr) -> anyhow::Result<UdpSocket> {
    let here: SocketAddr = match address.is_ipv4() {
        true => (Ipv4Addr::UNSPECIFIED, 0).into(),
        false => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(here)?;
    socket.connect(address)?;
    Ok(socket)
}

/// Waits for each answer as long as it takes: what is lost ends the count, unless it is said again.
fn count(protocol: Protocol, address: SocketAddr, again: bool) -> anyhow::Result<()> {
    let socket: OwnedFd = match protocol {
        Protocol::Tcp => TcpStream::connect(address).context("connect")?.into(),
        Protocol::Udp => {
            let socket = talk_to(address)?;
            socket.set_read_timeout(again.then_some(LATE))?;
            socket.into()
        }
    };
    let mut socket = File::from(socket);
    let mut answers = BufReader::new(socket.try_clone()?).lines();
    for number in 1.. {
        let mut heard = None;
        while heard.is_none() {
            // At once: each writing to it is a datagram.
            let said = format!("{number}\n");
            socket.write_all(said.as_bytes()).context("send")?;
            heard = answer_to(number, &mut answers)?;
        }
        println!("{}", heard.unwrap_or_default());
        thread::sleep(TICK);
    }
    Ok(())
}

/// None: none came in time. What comes late, to a number that was said again, is passed over.
fn answer_to(
    number: u64,
    answers: &mut impl Iterator<Item = io::Result<String>>,
) -> anyhow::Result<Option<String>> {
    loop {
        match answers.next() {
            Some(Ok(answer)) if answer.rsplit(' ').next() == Some(&number.to_string()) => {
                return Ok(Some(answer));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Some(Err(error)) => return Err(error).context("read"),
            None => bail!("closed by the server"),
        }
    }
}

fn icmp6(address: SocketAddrV6) -> anyhow::Result<()> {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let (family, protocol) = (AddressFamily::Inet6, SockProtocol::IcmpV6);
    let socket = socket(family, SockType::Raw, SockFlag::empty(), protocol).context("open")?;
    setsockopt(&socket, sockopt::Ipv6Ttl, &255)?;
    let to = SockaddrIn6::from(address);
    sendto(socket.as_raw_fd(), &message, &to, MsgFlags::empty()).context("send")?;
    Ok(())
}

fn resolve(name: &str) -> anyhow::Result<()> {
    let found = (name, 0).to_socket_addrs().context("resolve")?;
    found.for_each(|address| println!("{}", address.ip()));
    Ok(())
}

fn reply(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    let mut request = [0; 256];
    if stream.read(&mut request)? == 0 {
        return Ok(());
    }
    thread::sleep(WORK);
    write!(
        stream,
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{answer}",
        answer.len()
    )
}

/// What came of all requests so far.
#[derive(Default)]
struct Tally {
    asked: usize,
    failed: usize,
    /// The first failures, each with the time since the start.
    failures: Vec<String>,
    answers: BTreeMap<String, usize>,
}

fn load(address: SocketAddr, rate: u32, end: SigSet) -> anyhow::Result<()> {
    let started = Instant::now();
    let tally = Arc::new(Mutex::new(Tally::default()));
    let pause = Duration::from_secs(1) * CLIENTS / rate.max(1);
    let held_up = watch_the_clock();
    for client in 0..CLIENTS {
        let (tally, held_up) = (tally.clone(), held_up.clone());
        thread::spawn(move || {
            let mut next = Instant::now() + pause * client / CLIENTS;
            loop {
                thread::sleep(next.saturating_duration_since(Instant::now()));
                next = (next + pause).max(Instant::now());
                let stops = held_up.load(Ordering::SeqCst);
                let answer = ask(address);
                let excused = || held_up.load(Ordering::SeqCst) != stops;
                note(&tally, started, answer, excused);
            }
        });
    }
    end.wait().context("cannot wait for SIGTERM")?;
    let seconds = started.elapsed().as_secs_f64();
    let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    let report = json!({
        "asked": tally.asked, "failed": tally.failed, "failures": tally.failures, "answers": tally.answers,
        "seconds": seconds, "held_up": held_up.load(Ordering::SeqCst),
    });
    println!("{report}");
    std::process::exit(0)
}

/// Counts how often this process was held up.
fn watch_the_clock() -> Arc<AtomicUsize> {
    let held_up = Arc::new(AtomicUsize::new(0));
    let counted = held_up.clone();
    thread::spawn(move || {
        let mut last = Instant::now();
        loop {
            thread::sleep(Duration::from_millis(5));
            if last.elapsed() > HELD_UP {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            last = Instant::now();
        }
    });
    held_up
}

fn note(
    tally: &Mutex<Tally>,
    started: Instant,
    answer: anyhow::Result<String>,
    excused: impl Fn() -> bool,
) {
    if matches!(&answer, Err(error) if error.is::<Late>()) {
        // Gives the clock's watch its turn to see that it was held up.
        thread::sleep(Duration::from_millis(20));
        if excused() {
            return;
        }
    }
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.asked += 1;
    match answer {
        Ok(answer) => *tally.answers.entry(answer).or_default() += 1,
        Err(error) => {
            tally.failed += 1;
            if tally.failures.len() < TOLD {
                let at = started.elapsed().as_secs_f64();
                tally.failures.push(format!("{at:.3} s: {error:#}"));
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("took {0:?}")]
struct Late(Duration);

/// One request over a connection of its own.
fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let started = Instant::now();
    let answer = exchange(address);
    let took = started.elapsed();
    if took > LATE {
        bail!(Late(took));
    }
    answer
}

fn exchange(address: SocketAddr) -> anyhow::Result<String> {
    let patience = LATE + Duration::from_millis(100);
    let mut stream = TcpStream::connect_timeout(&address, patience).context("connect")?;
    stream.set_read_timeout(Some(patience))?;
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .context("send")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("read")?;
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) => Ok(body.to_owned()),
        None => bail!("no whole answer: {answer:?}"),
    }
}
