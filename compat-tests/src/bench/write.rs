//! How many small writes a swarm of one agrees on in a second, one after the other.

use std::time::{Duration, Instant};

use serde_json::json;

use super::turns::in_turn;
use super::{Pair, Sample, create};
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
    // 256 bytes, as the API takes them.
    let data = format!("{}QQ==", "QUFB".repeat(85));
    let specs: Vec<_> = (0..WRITES)
        .map(|_| json!({"Name": unique("bench"), "Data": data}))
        .collect();
    let mut ids = Vec::new();
    let began = Instant::now();
    for spec in &specs {
        let created = create::send(&mut connection, "POST", "/configs/create", Some(spec))?;
        ids.push(created["ID"].as_str().unwrap_or_default().to_owned());
    }
    let rate = f64::from(WRITES) / began.elapsed().as_secs_f64();
    for id in ids {
        create::send(&mut connection, "DELETE", &format!("/configs/{id}"), None)?;
    }
    Ok(rate)
}
