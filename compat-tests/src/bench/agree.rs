//! How many small writes by many clients a swarm of three managers agrees on in a second.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use super::cluster::Swarm;
use super::create::side_by_side;
use super::turns::in_turn;
use super::{Taken, write};
use crate::http::Connection;
use crate::{Error, Options};

const MANAGERS: usize = 3;
/// How long the clients write in one run.
const WRITTEN: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(120);

/// Configs per second that so many clients of the leader create, each one after the other.
pub fn take(clients: usize, runs: usize, ours: &Options) -> Result<Taken, Error> {
    let mut stock = Swarm::form(&ours.reference(), MANAGERS, 0, 0)?;
    let mut ours = Swarm::form(ours, MANAGERS, 0, 0)?;
    let mut shares = Vec::new();
    let samples = in_turn(runs, &mut ours, &mut stock, |swarm| {
        let (rate, share) = rate(swarm, clients)?;
        shares.push(format!("{share:.0}"));
        Ok(rate)
    })?;
    let detail = format!(
        "the clients' own part of a core, by run: {} %",
        shares.join(" ")
    );
    Ok(Taken {
        samples,
        detail: vec![detail],
    })
}

/// Writes per second, and the per cent of a core that the clients used.
fn rate(swarm: &Swarm, clients: usize) -> Result<(f64, f64), Error> {
    let leader = swarm.leader().map_err(Error::Setup)?;
    let socket = swarm.host(leader).socket();
    let (began, before) = (Instant::now(), used()?);
    let ids = side_by_side(clients, |_| create_some(&socket, began + WRITTEN))?;
    let seconds = began.elapsed().as_secs_f64();
    let share = (used()? - before).as_secs_f64() / seconds * 100.0;
    let written = ids.iter().map(Vec::len).sum::<usize>();
    side_by_side(clients, |client| {
        write::remove(&mut Connection::open(&socket, LIMIT)?, &ids[client])
    })?;
    Ok((written as f64 / seconds, share))
}

fn create_some(socket: &Path, until: Instant) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(socket, LIMIT)?;
    let mut ids = Vec::new();
    while Instant::now() < until {
        ids.push(write::create(&mut connection, &write::config())?);
    }
    Ok(ids)
}

/// Processor time of this process so far.
fn used() -> Result<Duration, Error> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).map_err(|e| Error::Setup(format!("{e}")))?;
    let time = [usage.user_time(), usage.system_time()];
    let micros = time.map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(
        u64::try_from(micros.iter().sum::<i64>()).unwrap_or_default(),
    ))
}
