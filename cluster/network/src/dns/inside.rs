//! Names inside a container.
//!
//! The engine's resolver, at 127.0.0.11, forwards to us what it does not know, which takes three times as long as an answer of
//! its own; and for a container that was on other networks before it came to ours it asks other servers, and may not forward
//! single names at all. So a container's questions to 127.0.0.11 come to a server of ours in its namespace first; what is not
//! ours goes on to the engine's resolver, byte for byte.
//!
//! ```text
//!   process ─▶ 127.0.0.11:53 ─ our table ─▶ 127.0.0.11:ours ─┬─ zone
//!                                                           └─ marked ─▶ 127.0.0.11:53 ─ the engine's table ─▶ its resolver
//! ```
//!
//! Files, routes and settings of the container stay as they are. The table belongs to our netlink socket and ends with it:
//! if we die, the container's questions go to the engine again at once.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::net::{TcpListener as StdListener, UdpSocket as StdSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::oneshot;

use super::resolvers::Resolvers;
use super::server::{Names, Place, Resolver, connections, datagrams};
use super::upstream::Upstream;
use super::zone::Asker;
use crate::firewall::{At, Expression, Family, Hook, Table, Transaction, rule};
use crate::inherited::{self, Address, Sort};
use crate::netlink::{Protocol, Socket};

/// Where the engine's own resolver is, in every container on a network that was made by a user.
const ENGINE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PORT: u16 = 53;
/// What our own questions to the engine are marked with: they are not to come back to us.
const MARK: u32 = 0x5a00_5357;
/// How long the engine may take: it asks others, and those yet others, of whom the first may be dead. As long as clients wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before the engine's rules, which are at -100: of two rewrites of one flow the first holds.
const PRIORITY: i32 = -105;
const TABLE: &str = "swarmrs_names";
const CHAIN: &str = "out";

/// A server inside a container. Dropped, it ends, and its table with it.
#[derive(Debug)]
pub struct Inside {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Inside {
    /// Serves the container whose namespace that is. On return its questions come to us.
    ///
    /// # Errors
    /// If the namespace cannot be entered, or its kernel knows no tables that end with their owner (before 5.12).
    pub fn open(sandbox: &Path, names: Arc<Names>, asker: Asker) -> io::Result<Self> {
        let sandbox = File::open(sandbox)?;
        let (stop, stopped) = oneshot::channel();
        let (told, ready) = mpsc::channel();
        let thread = std::thread::Builder::new().name("names-inside".to_owned());
        let thread = thread.spawn(move || {
            match Serving::begin(sandbox) {
                Ok(serving) => {
                    let _ = told.send(Ok(()));
                    serving.run(names, asker, stopped);
                }
                // Whoever waits says it.
                Err(error) => drop(told.send(Err(error))),
            }
        })?;
        let ended = |_| io::Error::other("the thread in the container has ended");
        ready.recv().map_err(ended)??;
        Ok(Inside {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Inside {
    /// Waits for the end of the thread: what it holds open keeps the container's namespace.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a thread inside a container holds open. All its sockets are the container's.
struct Serving {
    runtime: tokio::runtime::Runtime,
    udp: StdSocket,
    tcp: StdListener,
    /// Our table lives as long as this.
    _owner: Socket,
}

impl Serving {
    fn begin(sandbox: File) -> io::Result<Self> {
        setns(&sandbox, CloneFlags::CLONE_NEWNET)?;
        // Closed here: an open file keeps the namespace as well as a socket does.
        drop(sandbox);
        let (udp, tcp, owner) = match inherited() {
            Some(sockets) => sockets,
            None => anew()?,
        };
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Serving {
            runtime,
            udp,
            tcp,
            _owner: owner,
        })
    }

    fn run(self, names: Arc<Names>, asker: Asker, stopped: oneshot::Receiver<()>) {
        let Serving {
            runtime, udp, tcp, ..
        } = self;
        let engine = Resolvers::fixed(vec![(ENGINE, PORT).into()]);
        let resolver = Arc::new(Resolver {
            names,
            place: Place::Container(asker),
            upstream: Upstream::marked(engine, PATIENCE, MARK),
        });
        let served = async {
            let udp = UdpSocket::from_std(udp)?;
            let tcp = TcpListener::from_std(tcp)?;
            tokio::select! {
                () = datagrams(resolver.clone(), Arc::new(udp)) => {}
                () = connections(resolver, tcp) => {}
                _ = stopped => {}
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = runtime.block_on(served) {
            tracing::warn!(%error, "no names inside a container");
        }
    }
}

type Sockets = (StdSocket, StdListener, Socket);

/// Those that a former program of this process had in the namespace, with its table, which leads to them; all or none.
fn inherited() -> Option<Sockets> {
    let ours = |at: &Address| matches!(at, Address::Ip(at) if at.ip() == ENGINE);
    let udp = inherited::here(Sort::Datagrams, ours);
    let tcp = inherited::here(Sort::Connections, ours);
    let owner = inherited::here(Sort::Netlink, |_| true);
    Some((udp?.into(), tcp?.into(), Socket::of(owner?)))
}

fn anew() -> io::Result<Sockets> {
    let any = SocketAddr::from((ENGINE, 0));
    let (udp, tcp) = (StdSocket::bind(any)?, StdListener::bind(any)?);
    let mut owner = Socket::open(Protocol::Netfilter)?;
    table(udp.local_addr()?.port(), tcp.local_addr()?.port()).commit(&mut owner)?;
    Ok((udp, tcp, owner))
}

/// Questions to the engine's resolver come to our ports, but for our own.
fn table(udp: u16, tcp: u16) -> Transaction {
    let table = Table {
        family: Family::Ip,
        name: TABLE.to_owned(),
    };
    let mut transaction = Transaction::default();
    transaction.own_table(&table);
    let hook = Hook {
        kind: "nat",
        at: At::Output,
        priority: PRIORITY,
    };
    transaction.chain(&table, CHAIN, Some(hook));
    for (transport, port) in [(libc::IPPROTO_UDP, udp), (libc::IPPROTO_TCP, tcp)] {
        transaction.rule(&table, CHAIN, &to_us(transport as u8, port));
    }
    transaction
}

fn to_us(transport: u8, port: u16) -> Vec<Expression> {
    let load = |to, value: &[u8]| Expression::Load {
        to,
        value: value.to_vec(),
    };
    vec![
        Expression::Meta {
            key: rule::MARK,
            to: 0,
        },
        Expression::Compare {
            register: 0,
            equal: false,
            value: MARK.to_ne_bytes().to_vec(),
        },
        rule::destination(Family::Ip, 0),
        rule::compare(0, &ENGINE.octets()),
        Expression::Meta {
            key: rule::TRANSPORT,
            to: 0,
        },
        rule::compare(0, &[transport]),
        Expression::Payload {
            base: rule::BEHIND_NETWORK,
            offset: 2,
            length: 2,
            to: 0,
        },
        rule::compare(0, &PORT.to_be_bytes()),
        load(0, &ENGINE.octets()),
        load(1, &port.to_be_bytes()),
        rule::rewrite_destination(Family::Ip, 0, Some(1)),
    ]
}

#[cfg(test)]
mod tests;
