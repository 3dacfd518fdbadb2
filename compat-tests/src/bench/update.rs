//! How soon rules follow a change of one service among many, in the whole product.
//!
//! What is timed begins when a request to scale a service down is sent and ends when the kernel announces the new rules of
//! the service's virtual address, in the namespace of its network. So it holds all of: the API, the entry with the spec, the
//! leader's step, the entry that ends the task, the session to the agent, the holder, the kernel. The other services each
//! have two running tasks on the same network, and so a chain of their own; containers are on paper ([`crate::paper`]), since
//! no machine for tests runs thousands. A change of the commit's consequences alone would be shorter, never longer.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::{Value, json};

use super::report::quantile_of;
use super::space::Space;
use super::{Sample, Taken, create, overlay};
use crate::http::Connection;
use crate::testbed::{IMAGE, unique};
use crate::{Error, Host, Options, wait};

/// Services on the network at each step of the curve.
const SIZES: [usize; 4] = [10, 100, 1_000, 3_000];
const ROUNDS: usize = 200;
/// Room for three addresses of each service.
const SUBNET: &str = "10.200.0.0/16";
const LIMIT: Duration = Duration::from_secs(300);
const PATIENCE_SECONDS: i64 = 20;
/// Source: `NFNLGRP_NFTABLES` in `linux/netfilter/nfnetlink.h`, which is group 7, as a bit.
const RULES_CHANGED: u32 = 1 << 6;

/// Milliseconds until rules are in force, p99 among 3,000 services; the floor is p99 among 10. The detail is the curve.
pub fn take(runs: usize, ours: &Options) -> Result<Taken, Error> {
    let options = Options {
        on_paper: true,
        ..ours.clone()
    };
    let testbed = overlay::start(&options, &["--subnet", SUBNET], &[])?;
    let scaled = Scaled::find(testbed.host(0))?;
    let mut taken = Taken::default();
    let mut floor = None;
    for (step, size) in SIZES.into_iter().enumerate() {
        fill(testbed.host(0), size)?;
        let last = step + 1 == SIZES.len();
        let runs = if last { runs } else { 1 };
        for run in 0..=runs {
            let times = scaled.rounds()?;
            if run == 0 {
                continue;
            }
            let of = |part| quantile_of(times.clone(), part);
            let (median, high) = (of(0.5), of(0.99));
            floor = floor.or(Some(high));
            taken.detail.push(format!(
                "{size} services: p50 {median:.2} ms, p99 {high:.2} ms"
            ));
            if last {
                taken.samples.push(Sample {
                    ours: high,
                    stock: None,
                    floor,
                });
            }
        }
    }
    Ok(taken)
}

/// Adds services of two tasks until there are `size`, and waits until all run.
fn fill(host: &Host, size: usize) -> Result<(), Error> {
    let mut connection = Connection::open(&host.socket(), LIMIT)?;
    let list = "/services?status=true";
    let services = create::send(&mut connection, "GET", list, None)?;
    for _ in services.as_array().map_or(0, Vec::len)..size {
        let spec = json!({
            "Name": unique("other"),
            "Mode": {"Replicated": {"Replicas": 2}},
            "TaskTemplate": {
                "ContainerSpec": {"Image": IMAGE}, "Networks": [{"Target": overlay::NETWORK}],
            },
        });
        create::send(&mut connection, "POST", "/services/create", Some(&spec))?;
    }
    wait::until("all tasks of each service", LIMIT, || {
        let services = create::send(&mut connection, "GET", list, None);
        let services = services.map_err(|error| error.to_string())?;
        let status = |one: &Value, what: &str| one["ServiceStatus"][what].as_u64();
        let wait_for = |one: &&Value| status(one, "RunningTasks") < status(one, "DesiredTasks");
        match services
            .as_array()
            .into_iter()
            .flatten()
            .filter(wait_for)
            .count()
        {
            0 => Ok(()),
            waiting => Err(format!("{waiting} services without all their tasks")),
        }
    })
}

/// The service that is scaled, and where its rules are.
struct Scaled<'a> {
    host: &'a Host,
    chain: String,
    announced: Announced,
}

impl<'a> Scaled<'a> {
    fn find(host: &'a Host) -> Result<Self, Error> {
        let network = host.api("GET", &format!("/networks/{}", overlay::NETWORK), None)?;
        let network = network.success()?;
        let id = network["Id"].as_str().unwrap_or_default();
        let IpAddr::V4(address) = overlay::virtual_address(host)? else {
            return Err(Error::Setup("a virtual address of another family".into()));
        };
        Ok(Self {
            host,
            chain: format!("vip-{address}\0"),
            announced: Announced::listen(&namespace(host, id)?)?,
        })
    }

    /// Milliseconds of each scaling down from two tasks to one.
    fn rounds(&self) -> Result<Vec<f64>, Error> {
        let mut connection = Connection::open(&self.host.socket(), LIMIT)?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            self.scale(&mut connection, 2)?;
            let took = self.scale(&mut connection, 1)?;
            times.push(took.as_secs_f64() * 1e3);
        }
        Ok(times)
    }

    fn scale(&self, connection: &mut Connection, replicas: usize) -> Result<Duration, Error> {
        let target = format!("/services/{}", overlay::SERVICE);
        let service = create::send(connection, "GET", &target, None)?;
        let version = &service["Version"]["Index"];
        let mut spec = service["Spec"].clone();
        spec["Mode"]["Replicated"]["Replicas"] = replicas.into();
        let target = format!("{target}/update?version={version}");
        self.announced.forget()?;
        let began = Instant::now();
        create::send(connection, "POST", &target, Some(&spec))?;
        Ok(self.announced.wait_for(&self.chain)?.duration_since(began))
    }
}

/// The namespace of a network, which is mounted where only the host's processes see it.
fn namespace(host: &Host, network: &str) -> Result<Space, Error> {
    let daemon = host.daemon();
    let pid = daemon.pid().unwrap_or_default();
    let path = daemon.exec_root().join("network").join(network);
    Space::at(format!("/proc/{pid}/root{}", path.display()))
}

/// What the kernel says of changed rules in a namespace.
struct Announced {
    socket: OwnedFd,
}

impl Announced {
    fn listen(space: &Space) -> Result<Self, Error> {
        let open = || {
            let (family, kind) = (AddressFamily::Netlink, SockType::Raw);
            let protocol = SockProtocol::NetlinkNetFilter;
            let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
            setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
            let patience = TimeVal::seconds(PATIENCE_SECONDS);
            setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, RULES_CHANGED))?;
            Ok(Self { socket })
        };
        let failed = |error: nix::Error| Error::Setup(format!("listen for new rules: {error}"));
        space.within(|| open().map_err(failed))
    }

    /// Until something is said of that chain.
    fn wait_for(&self, chain: &str) -> Result<Instant, Error> {
        let mut said = vec![0; 256 * 1024];
        let failed = |error| Error::Setup(format!("no new rules of {chain}: {error}"));
        loop {
            let length = self.hear(&mut said, MsgFlags::empty()).map_err(failed)?;
            let mut words = said[..length].windows(chain.len());
            if words.any(|word| word == chain.as_bytes()) {
                return Ok(Instant::now());
            }
        }
    }

    /// What was said so far.
    fn forget(&self) -> Result<(), Error> {
        let mut said = vec![0; 256 * 1024];
        loop {
            match self.hear(&mut said, MsgFlags::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(nix::Error::EAGAIN) => return Ok(()),
                Err(error) => return Err(Error::Setup(format!("forget old rules: {error}"))),
            }
        }
    }

    fn hear(&self, said: &mut [u8], flags: MsgFlags) -> nix::Result<usize> {
        recv(self.socket.as_raw_fd(), said, flags)
    }
}
