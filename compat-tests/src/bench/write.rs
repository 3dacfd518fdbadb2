//! How many small writes a swarm of one agrees on in a second, one after the other.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::create::send;
use super::turns::in_turn;
use super::{Pair, Sample};
use crate::http::Connection;
use crate::testbed::unique;
use crate::{Error, Host};

/// Writes in one run: long enough for a steady rate, short enough for many pairs.
const WRITES: u32 = 200;
const LIMIT: Duration = Duration::from_secs(60);

/// Writes per second by one client on one connection, on both swarms in turn.
pub fn take(runs: usize, pair: &Pair) -> Result<Vec<Sample>, Error> {
    let (mut ours, mut stock) = (pair.ours.host(0), pair.stock.host(0));
    in_turn(runs, &mut ours, &mut stock, |host| rate(host))
}

/// Creates configs and, outside the time taken, removes them: both swarms stay small.
fn rate(host: &Host) -> Result<f64, Error> {
    let mut connection = Connection::open(&host.socket(), LIMIT)?;
    let specs: Vec<_> = (0..WRITES).map(|_| config()).collect();
    let mut ids = Vec::new();
    let began = Instant::now();
    for spec in &specs {
        ids.push(create(&mut connection, spec)?);
    }
    let rate = f64::from(WRITES) / began.elapsed().as_secs_f64();
    remove(&mut connection, &ids)?;
    Ok(rate)
}

/// A new config of 256 bytes, as the API takes it.
pub fn config() -> Value {
    json!({"Name": unique("bench"), "Data": format!("{}QQ==", "QUFB".repeat(85))})
}

/// Creates the config and returns its id.
pub fn create(connection: &mut Connection, spec: &Value) -> Result<String, Error> {
    let created = send(connection, "POST", "/configs/create", Some(spec))?;
    Ok(created["ID"].as_str().unwrap_or_default().to_owned())
}

/// Removes these configs.
pub fn remove(connection: &mut Connection, ids: &[String]) -> Result<(), Error> {
    for id in ids {
        send(connection, "DELETE", &format!("/configs/{id}"), None)?;
    }
    Ok(())
}
