//! How many small writes by many clients a swarm of three managers agrees on in a second.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::json;

use super::cluster::Swarm;
use super::turns::in_turn;
use super::{Taken, create};
use crate::http::Connection;
use crate::testbed::unique;
use crate::{Error, Options};

const MANAGERS: usize = 3;
/// How long the clients write in one run.
const WRITTEN: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(120);

/// Configs per second that so many clients of the leader create, each one after the other.
pub fn take(clients: usize, runs: usize, ours: &Options) -> Result<Taken, Error> {
    let mut stock = Swarm::form(&Options::stock(), MANAGERS, 0, 0)?;
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
    side_by_side(clients, |client| remove(&socket, &ids[client]))?;
    Ok((written as f64 / seconds, share))
}

fn side_by_side<T: Send>(
    clients: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..clients)
            .map(|client| scope.spawn(move || work(client)))
            .collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err(Error::Setup("a client panicked".to_owned())),
        });
        results.collect()
    })
}

fn create_some(socket: &Path, until: Instant) -> Result<Vec<String>, Error> {
    let mut connection = Connection::open(socket, LIMIT)?;
    // 256 bytes, as the API takes them.
    let data = format!("{}QQ==", "QUFB".repeat(85));
    let mut ids = Vec::new();
    while Instant::now() < until {
        let spec = json!({"Name": unique("bench"), "Data": data});
        let created = create::send(&mut connection, "POST", "/configs/create", Some(&spec))?;
        ids.push(created["ID"].as_str().unwrap_or_default().to_owned());
    }
    Ok(ids)
}

fn remove(socket: &Path, ids: &[String]) -> Result<(), Error> {
    let mut connection = Connection::open(socket, LIMIT)?;
    for id in ids {
        create::send(&mut connection, "DELETE", &format!("/configs/{id}"), None)?;
    }
    Ok(())
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
