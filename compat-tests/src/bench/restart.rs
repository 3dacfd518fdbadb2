//! How long a swarm is without its manager when swarmrsd is killed and started again.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Sample, create, init};
use crate::http::{Connection, Request};
use crate::testbed::IMAGE;
use crate::{Error, Host, Options, Testbed, wait};

const TASKS: u64 = 100;
const LIMIT: Duration = Duration::from_secs(300);
const CALL: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(2);

/// Seconds from kill -9 until the API answers and every task's container was found and taken over. A stock dockerd has
/// nothing to set against: its swarm and its containers' keeper are one process.
pub fn take(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let mut testbed = Testbed::hosts(1, ours)?;
    init(testbed.host(0))?;
    start_tasks(testbed.host(0))?;
    let mut samples = Vec::new();
    for _ in 0..=runs {
        let host = testbed.host_mut(0);
        let began = Instant::now();
        host.kill_daemon();
        host.launch_daemon()?;
        adopted(host, began)?;
        samples.push(Sample {
            ours: began.elapsed().as_secs_f64(),
            stock: None,
            floor: None,
        });
        all_run(testbed.host(0))?;
    }
    samples.remove(0);
    Ok(samples)
}

fn start_tasks(host: &Host) -> Result<(), Error> {
    let spec = json!({
        "Name": "restart",
        "TaskTemplate": {"ContainerSpec": {
            "Image": IMAGE, "Command": ["sleep", "86400"], "StopSignal": "SIGKILL",
        }},
        "Mode": {"Replicated": {"Replicas": TASKS}},
    });
    let mut connection = Connection::open(&host.socket(), CALL)?;
    create::send(&mut connection, "POST", "/services/create", Some(&spec))?;
    all_run(host)
}

fn all_run(host: &Host) -> Result<(), Error> {
    wait::until("a hundred running tasks", LIMIT, || {
        let services = host.api("GET", "/services?status=true", None);
        let services = services.and_then(|answer| answer.success());
        let services = services.map_err(|error| error.to_string())?;
        match create::running(&services) {
            TASKS => Ok(()),
            running => Err(format!("{running} run")),
        }
    })
}

/// Asks without pause until the agent has them all.
fn adopted(host: &Host, began: Instant) -> Result<(), Error> {
    loop {
        let count = count(host);
        if count == Some(TASKS) {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            return Err(Error::Deadline {
                what: format!("{TASKS} adopted tasks"),
                limit: LIMIT,
                last: format!("{count:?}"),
            });
        }
        thread::sleep(POLL);
    }
}

/// None while the daemon does not answer, or is no manager yet.
fn count(host: &Host) -> Option<u64> {
    let mut connection = Connection::open(&host.socket(), CALL).ok()?;
    let request = Request::new("GET", "/swarmrs/v1/read/metrics");
    let text = connection.call(&request).ok()?.text();
    let name = "swarmrs_agent_adopted_tasks_total ";
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.parse().ok()
}
