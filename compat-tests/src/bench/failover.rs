//! How long a swarm of three managers agrees on nothing when its leader goes, seen by clients of another manager.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use super::cluster::{Loss, Swarm};
use super::turns::in_turn;
use super::{Sample, create};
use crate::http::Connection;
use crate::testbed::unique;
use crate::{Error, Options, wait};

const MANAGERS: usize = 3;
const WRITERS: usize = 4;
/// A client that has no answer for so long asks again: it may have come while nobody could answer.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);
/// Agreement is back when writes are acknowledged for so long again.
const STEADY: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(90);

/// Seconds, from the loss on, of the longest time in which no write was acknowledged.
pub fn take(loss: Loss, runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let mut stock = Swarm::form(&ours.reference(), MANAGERS, 0, 0)?;
    let mut ours = Swarm::form(ours, MANAGERS, 0, 0)?;
    in_turn(runs, &mut ours, &mut stock, |swarm| silence(swarm, loss))
}

fn silence(swarm: &mut Swarm, loss: Loss) -> Result<f64, Error> {
    let leader = swarm.leader().map_err(Error::Setup)?;
    let survivor = swarm.host((leader + 1) % MANAGERS).socket();
    let writers = Writers::start(&survivor);
    writers.until_steady(Instant::now())?;
    let lost = Instant::now();
    swarm.lose(leader, loss)?;
    // SIGTERM may take a while, in which nothing need be missing.
    writers.until_steady(Instant::now())?;
    let silence = longest(lost, &writers.end());
    swarm.recover(leader, loss)?;
    Ok(silence.as_secs_f64())
}

/// The longest time between two moments of `acknowledged`, in order, from `since` on.
fn longest(since: Instant, acknowledged: &[Instant]) -> Duration {
    let mut last = since;
    let mut longest = Duration::ZERO;
    for at in acknowledged.iter().filter(|at| **at > since) {
        longest = longest.max(*at - last);
        last = *at;
    }
    longest
}

/// Clients that write all the time; when each write was acknowledged.
struct Writers {
    acknowledged: Arc<Mutex<Vec<Instant>>>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(socket: &Path) -> Self {
        let acknowledged = Arc::<Mutex<Vec<Instant>>>::default();
        let ended = Arc::<AtomicBool>::default();
        let threads = (0..WRITERS).map(|_| {
            let (socket, times, ended) = (socket.to_owned(), acknowledged.clone(), ended.clone());
            thread::spawn(move || write(&socket, &times, &ended))
        });
        Self {
            threads: threads.collect(),
            acknowledged,
            ended,
        }
    }

    fn times(&self) -> Vec<Instant> {
        let times = self.acknowledged.lock();
        let mut times = times.unwrap_or_else(PoisonError::into_inner).clone();
        times.sort();
        times
    }

    /// Waits until, some time after `since`, writes have gone well for a while.
    fn until_steady(&self, since: Instant) -> Result<(), Error> {
        wait::until("writes that are acknowledged", LIMIT, || {
            let times = self.times();
            let after: Vec<_> = times.into_iter().filter(|at| *at > since).collect();
            let mut steady = after.first().copied();
            for pair in after.windows(2) {
                if pair[1] - pair[0] > STEADY / 4 {
                    steady = Some(pair[1]);
                }
            }
            match (steady, after.last()) {
                (Some(from), Some(last)) if *last - from >= STEADY => Ok(()),
                _ => Err(format!("{} since", after.len())),
            }
        })
    }

    fn end(mut self) -> Vec<Instant> {
        self.join();
        self.times()
    }

    fn join(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.join();
    }
}

/// Makes configs and removes them, each a write, so that the swarm stays small.
fn write(socket: &Path, acknowledged: &Mutex<Vec<Instant>>, ended: &AtomicBool) {
    let mut connection = None;
    while !ended.load(Ordering::Relaxed) {
        if connection.is_none() {
            connection = Connection::open(socket, PATIENCE).ok();
        }
        let written = connection
            .as_mut()
            .is_some_and(|open| come_and_go(open, acknowledged).is_ok());
        if !written {
            connection = None;
        }
        thread::sleep(PAUSE);
    }
}

fn come_and_go(
    connection: &mut Connection,
    acknowledged: &Mutex<Vec<Instant>>,
) -> Result<(), Error> {
    let note = || {
        let times = acknowledged.lock();
        times
            .unwrap_or_else(PoisonError::into_inner)
            .push(Instant::now());
    };
    let spec = json!({"Name": unique("bench"), "Data": "QUFB"});
    let created = create::send(connection, "POST", "/configs/create", Some(&spec))?;
    note();
    let id = created["ID"].as_str().unwrap_or_default();
    create::send(connection, "DELETE", &format!("/configs/{id}"), None)?;
    note();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_silence_begins_with_the_loss() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let times = [at(10), at(500), at(510), at(900), at(905)];
        assert_eq!(longest(at(505), &times), Duration::from_millis(390));
        assert_eq!(longest(at(100), &times), Duration::from_millis(400));
        assert_eq!(longest(at(905), &times), Duration::ZERO);
    }
}
