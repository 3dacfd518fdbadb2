//! Benchmarks against the stock swarm, and of the network against the engine's own, in alternating pairs.
//!
//! Every row makes the hosts, engines, images and swarms that it needs and removes them. The first run of a row is a
//! warm-up and is discarded; ours and stock take turns, and which goes first changes from run to run, so that what else
//! the machine does falls on both. A measurement whose runs spread by more than 15 % is taken again.
//!
//! A *floor* is what the same work costs without any swarm (the engine's own API, its own port, its own resolver) or
//! without what the row is about; each row says which.

mod agree;
mod attach;
mod balanced;
mod cluster;
mod create;
mod elections;
mod failover;
mod idle;
mod join;
mod mesh;
mod names;
mod overlay;
mod proxy;
mod relay;
mod replace;
mod report;
mod restart;
mod space;
mod start;
mod traffic;
mod turns;
mod update;
mod write;

use std::path::PathBuf;

use cluster::Loss;
pub use report::Report;
use report::{Sample, Taken};
use traffic::Measure;

use crate::testbed::{Release, build_release};
use crate::{Error, Host, Options, Testbed};

/// Above this a measurement is repeated.
const MUCH_SPREAD: f64 = 0.15;
const REPEATS: usize = 2;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Row {
    /// Seconds from the API call that creates a service of one task until it runs
    #[value(name = "create-1")]
    Create1,
    /// The same with 20 tasks
    #[value(name = "create-20")]
    Create20,
    /// Microseconds that the proxy adds to a list of 10 containers; the floor is what a plain relay of bytes adds
    ProxyList,
    /// MiB/s of a 200 MiB image saved through the proxy
    ProxyBulk,
    /// MiB that swarmrsd occupies with 10 tasks, after 1,000 writes and a minute of rest
    IdleRss,
    /// Per cent of a core that it uses then
    IdleCpu,
    /// Seconds from kill -9 of swarmrsd until its API answers and 100 tasks are adopted
    Restart,
    /// Configs of 256 bytes that one client creates per second
    #[value(name = "writes-1")]
    Writes1,
    /// KiB that swarmrsd needs for each of 2,000 attached streams
    AttachStreams,
    /// Microseconds of a TCP connection from a container over a service's virtual address; the floor is its task's address
    Vip,
    /// MiB/s of one connection over a service's virtual address; the floor is its task's address
    VipThroughput,
    /// Requests per second from outside the host to a published port; the floor is a port that the engine publishes
    /// for a container on a bridge network
    Mesh,
    /// MiB/s of one connection from outside the host to a published port; the floor is a port that the engine publishes
    /// for a container on a bridge network
    MeshThroughput,
    /// Milliseconds by which a container starts later on an overlay network than on the default bridge
    NetStart,
    /// Milliseconds from a request that scales a service down until rules follow, p99 among 3,000 services; the floor is p99
    /// among 10
    NetUpdate,
    /// Look-ups per second of one client in a container; the floor is the engine's resolver on a bridge network
    Dns,
    /// Seconds without an acknowledged write when the leader of three managers gets SIGTERM
    LeaderStop,
    /// The same when it gets SIGKILL
    LeaderKill,
    /// The same when its network cable is pulled
    LeaderCut,
    /// Changes of leader in two minutes in which every core is busy; of five hosts
    Elections,
    /// Seconds from kill -9 of all daemons of one of two workers until its tasks run on the other
    WorkerKill,
    /// The same when its network cable is pulled
    WorkerCut,
    /// Configs of 256 bytes per second that one client creates with three managers
    #[value(name = "cluster-writes-1")]
    ClusterWrites1,
    /// The same with 64 clients
    #[value(name = "cluster-writes-64")]
    ClusterWrites64,
    /// The same with 256 clients
    #[value(name = "cluster-writes-256")]
    ClusterWrites256,
    /// Seconds from `docker swarm join` of a worker until it is ready
    Join,
}

impl Row {
    /// The name as on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create1 => "create-1",
            Self::Create20 => "create-20",
            Self::ProxyList => "proxy-list",
            Self::ProxyBulk => "proxy-bulk",
            Self::IdleRss => "idle-rss",
            Self::IdleCpu => "idle-cpu",
            Self::Restart => "restart",
            Self::Writes1 => "writes-1",
            Self::AttachStreams => "attach-streams",
            Self::Vip => "vip",
            Self::VipThroughput => "vip-throughput",
            Self::Mesh => "mesh",
            Self::MeshThroughput => "mesh-throughput",
            Self::NetStart => "net-start",
            Self::NetUpdate => "net-update",
            Self::Dns => "dns",
            Self::LeaderStop => "leader-stop",
            Self::LeaderKill => "leader-kill",
            Self::LeaderCut => "leader-cut",
            Self::Elections => "elections",
            Self::WorkerKill => "worker-kill",
            Self::WorkerCut => "worker-cut",
            Self::ClusterWrites1 => "cluster-writes-1",
            Self::ClusterWrites64 => "cluster-writes-64",
            Self::ClusterWrites256 => "cluster-writes-256",
            Self::Join => "join",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Create1 | Self::Create20 | Self::Restart | Self::Join => "s",
            Self::LeaderStop | Self::LeaderKill | Self::LeaderCut => "s",
            Self::WorkerKill | Self::WorkerCut => "s",
            Self::Elections => "elections",
            Self::Writes1 => "writes/s",
            Self::ClusterWrites1 | Self::ClusterWrites64 | Self::ClusterWrites256 => "writes/s",
            Self::ProxyList | Self::Vip => "us",
            Self::ProxyBulk | Self::VipThroughput | Self::MeshThroughput => "MiB/s",
            Self::Mesh => "requests/s",
            Self::NetStart | Self::NetUpdate => "ms",
            Self::Dns => "look-ups/s",
            Self::IdleRss => "MiB",
            Self::IdleCpu => "%",
            Self::AttachStreams => "KiB",
        }
    }

    /// What the figures ought to be, where that is settled. No test asks for it: a busy machine may miss it.
    fn wanted(self) -> Option<&'static str> {
        match self {
            Self::Restart => Some("ours <= 1 s"),
            Self::Writes1 => Some("ratio >= 2"),
            Self::AttachStreams => Some("ours <= 32 KiB"),
            Self::Vip => Some("ratio <= 1.15"),
            Self::VipThroughput => Some("ratio >= 0.95"),
            Self::Mesh | Self::MeshThroughput => Some("ratio >= 0.9"),
            Self::NetStart => Some("ours <= 40 ms"),
            Self::NetUpdate => Some("ours <= 20 ms, and as many at every size"),
            Self::Create1 | Self::Create20 => Some("over <= 0.5"),
            Self::ProxyList => Some("ours <= 90 us, or ratio <= 1"),
            Self::ProxyBulk => Some("ratio >= 0.97"),
            Self::IdleRss => Some("ours <= 30 MiB"),
            Self::IdleCpu => Some("ours <= 0.1 %"),
            Self::Dns => None,
            Self::LeaderStop => Some("ours <= 0.1 s"),
            Self::LeaderKill => Some("ours <= 1 s"),
            Self::LeaderCut => Some("ours <= 1.5 s"),
            Self::Elections => Some("ours 0, no node down"),
            Self::WorkerKill => Some("ours <= 3 s"),
            Self::WorkerCut => Some("ours <= 7 s"),
            Self::ClusterWrites1 => None,
            Self::ClusterWrites64 | Self::ClusterWrites256 => Some("ratio >= 10"),
            Self::Join => Some("ours <= 1 s"),
        }
    }

    /// Runs unless the user says otherwise: a row must end within ten minutes.
    fn usual_runs(self) -> usize {
        match self {
            Self::Create1 => 11,
            Self::Create20 => 7,
            Self::ProxyList | Self::ProxyBulk => 7,
            Self::IdleRss | Self::IdleCpu | Self::AttachStreams => 2,
            Self::NetUpdate => 3,
            Self::Restart => 9,
            Self::Writes1 => 15,
            Self::Vip | Self::Mesh | Self::Dns => 9,
            Self::VipThroughput | Self::MeshThroughput | Self::NetStart => 7,
            Self::LeaderStop | Self::LeaderKill | Self::LeaderCut => 5,
            Self::WorkerKill | Self::WorkerCut => 3,
            Self::Elections => 1,
            Self::ClusterWrites1 | Self::ClusterWrites64 | Self::ClusterWrites256 => 5,
            Self::Join => 7,
        }
    }
}

/// What to measure with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Runs per row; each row has its own number otherwise.
    pub runs: Option<usize>,
    /// The swarmrsd to measure; the release build of this tree otherwise.
    pub swarmrsd: Option<PathBuf>,
    /// The engine, also of the stock swarm.
    pub engine: Release,
}

/// Measures one row.
pub fn measure(row: Row, settings: &Settings) -> Result<Report, Error> {
    let swarmrsd = settings.swarmrsd.clone().map_or_else(build_release, Ok)?;
    let ours = Options {
        swarmrsd: Some(swarmrsd),
        ..Options::engine(settings.engine)
    };
    let runs = settings.runs.unwrap_or(row.usual_runs()).max(1);
    let mut report = Report::of(row, take(row, runs, &ours)?);
    for _ in 0..REPEATS {
        if report.spread <= MUCH_SPREAD {
            break;
        }
        report = Report::of(row, take(row, runs, &ours)?);
    }
    Ok(report)
}

fn take(row: Row, runs: usize, ours: &Options) -> Result<Taken, Error> {
    let samples = match row {
        Row::NetUpdate => return update::take(runs, ours),
        Row::NetStart => return start::take(runs, ours),
        Row::Mesh => return mesh::take(Measure::Requests, runs, ours),
        Row::MeshThroughput => return mesh::take(Measure::Bulk, runs, ours),
        Row::Dns => return names::take(runs, ours),
        Row::Elections => return elections::take(runs, ours),
        Row::ClusterWrites1 => return agree::take(1, runs, ours),
        Row::ClusterWrites64 => return agree::take(64, runs, ours),
        Row::ClusterWrites256 => return agree::take(256, runs, ours),
        Row::Create1 => create::take(1, runs, &Pair::start(ours)?),
        Row::Create20 => create::take(20, runs, &Pair::start(ours)?),
        Row::ProxyList => proxy::list(runs, ours),
        Row::ProxyBulk => proxy::bulk(runs, ours),
        Row::IdleRss => idle::memory(runs, ours),
        Row::IdleCpu => idle::processor(runs, ours),
        Row::Restart => restart::take(runs, ours),
        Row::Writes1 => write::take(runs, &Pair::start(ours)?),
        Row::AttachStreams => attach::streams(runs, ours),
        Row::Vip => balanced::take(Measure::Connecting, runs, ours),
        Row::VipThroughput => balanced::take(Measure::Bulk, runs, ours),
        Row::LeaderStop => failover::take(Loss::Stop, runs, ours),
        Row::LeaderKill => failover::take(Loss::Kill, runs, ours),
        Row::LeaderCut => failover::take(Loss::Cut, runs, ours),
        Row::WorkerKill => replace::take(Loss::Kill, runs, ours),
        Row::WorkerCut => replace::take(Loss::Cut, runs, ours),
        Row::Join => join::take(runs, ours),
    };
    samples.map(Taken::from)
}

/// A swarm of ours and a stock one, on hosts alike.
struct Pair {
    ours: Testbed,
    stock: Testbed,
}

impl Pair {
    fn start(ours: &Options) -> Result<Self, Error> {
        let pair = Self {
            ours: Testbed::hosts(1, ours)?,
            stock: Testbed::hosts(1, &ours.reference())?,
        };
        init(pair.ours.host(0))?;
        init(pair.stock.host(0))?;
        Ok(pair)
    }
}

fn init(host: &Host) -> Result<(), Error> {
    host.docker(&["swarm", "init", "--advertise-addr", host.address()])?
        .success()
        .map(drop)
}
