//! Whether a swarm keeps its leader and its nodes on hosts that have no processor time to spare.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::{Swarm, is_ready, list};
use super::{Sample, Taken};
use crate::error::Tried;
use crate::{Error, Options};

const MANAGERS: usize = 3;
const WORKERS: usize = 2;
const WATCHED: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_secs(1);
/// Processes that never rest, for each core.
const BUSY: usize = 2;

/// Changes of leader within two minutes in which every core is busy.
pub fn take(runs: usize, options: &Options) -> Result<Taken, Error> {
    let mut taken = Taken::default();
    for _ in 0..runs {
        let (ours, ours_down) = watched(&Swarm::form(options, MANAGERS, WORKERS, 0)?)?;
        let stock = Swarm::form(&options.reference(), MANAGERS, WORKERS, 0)?;
        let (stock, stock_down) = watched(&stock)?;
        taken.samples.push(Sample {
            ours: f64::from(ours),
            stock: Some(f64::from(stock)),
            floor: None,
        });
        taken.detail.push(format!(
            "nodes seen down: ours {ours_down}, stock {stock_down}"
        ));
    }
    Ok(taken)
}

/// Changes of leader, and how often a node was seen that was not ready.
fn watched(swarm: &Swarm) -> Result<(u32, usize), Error> {
    let mut leader = swarm.leader().map_err(Error::Setup)?;
    let _busy = Busy::start()?;
    let (mut elections, mut down) = (0, 0);
    let began = Instant::now();
    while began.elapsed() < WATCHED {
        // A manager that is too busy to answer is asked again.
        if let Ok(now) = swarm.leader()
            && now != leader
        {
            (leader, elections) = (now, elections + 1);
        }
        let nodes = list(swarm.host(leader), "/nodes").unwrap_or_default();
        down += nodes.iter().filter(|node| !is_ready(node)).count();
        thread::sleep(LOOK);
    }
    Ok((elections, down))
}

/// Processes that take whatever the cores give; they end with this.
struct Busy(Vec<Child>);

impl Busy {
    fn start() -> Result<Self, Error> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let mut busy = Self(Vec::new());
        for _ in 0..cores * BUSY {
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null());
            busy.0.push(
                command
                    .spawn()
                    .tried(|| "start a busy process".to_owned())?,
            );
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
