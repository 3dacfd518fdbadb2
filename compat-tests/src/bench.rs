//! Benchmarks against the stock swarm, in alternating pairs.
//!
//! Every row makes the hosts, engines, images and swarms that it needs and removes them. The first run of a row is a
//! warm-up and is discarded; ours and stock take turns, and which goes first changes from run to run, so that what else
//! the machine does falls on both. A measurement whose runs spread by more than 15 % is taken again.
//!
//! A *floor* is what the same work costs without any swarm: the engine's own API, called directly.

mod attach;
mod create;
mod idle;
mod proxy;
mod report;
mod restart;
mod write;

use std::path::PathBuf;

pub use report::Report;
use report::Sample;

use crate::testbed::build_release;
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
    /// Microseconds that the proxy adds to a list of 10 containers
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
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Create1 | Self::Create20 | Self::Restart => "s",
            Self::Writes1 => "writes/s",
            Self::ProxyList => "us",
            Self::ProxyBulk => "MiB/s",
            Self::IdleRss => "MiB",
            Self::IdleCpu => "%",
            Self::AttachStreams => "KiB",
        }
    }

    /// Runs unless the user says otherwise: a row must end within ten minutes.
    fn usual_runs(self) -> usize {
        match self {
            Self::Create1 => 11,
            Self::Create20 => 7,
            Self::ProxyList | Self::ProxyBulk => 7,
            Self::IdleRss | Self::IdleCpu | Self::AttachStreams => 2,
            Self::Restart => 9,
            Self::Writes1 => 15,
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
}

/// Measures one row.
pub fn measure(row: Row, settings: &Settings) -> Result<Report, Error> {
    let swarmrsd = settings.swarmrsd.clone().map_or_else(build_release, Ok)?;
    let ours = Options {
        swarmrsd: Some(swarmrsd),
        ..Options::default()
    };
    let runs = settings.runs.unwrap_or(row.usual_runs()).max(1);
    let mut report = Report::of(row, &take(row, runs, &ours)?);
    for _ in 0..REPEATS {
        if report.spread <= MUCH_SPREAD {
            break;
        }
        report = Report::of(row, &take(row, runs, &ours)?);
    }
    Ok(report)
}

fn take(row: Row, runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    match row {
        Row::Create1 => create::take(1, runs, &Pair::start(ours)?),
        Row::Create20 => create::take(20, runs, &Pair::start(ours)?),
        Row::ProxyList => proxy::list(runs, ours),
        Row::ProxyBulk => proxy::bulk(runs, ours),
        Row::IdleRss => idle::memory(runs, ours),
        Row::IdleCpu => idle::processor(runs, ours),
        Row::Restart => restart::take(runs, ours),
        Row::Writes1 => write::take(runs, &Pair::start(ours)?),
        Row::AttachStreams => attach::streams(runs, ours),
    }
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
            stock: Testbed::hosts(1, &Options::stock())?,
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
