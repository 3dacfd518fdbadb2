//! What the way through swarmrsd costs compared with talking to the engine.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Sample, init, relay::Relay, report::median};
use crate::error::Tried;
use crate::http::{Connection, Request};
use crate::testbed::IMAGE;
use crate::{Error, Host, Options, Testbed};

const LIMIT: Duration = Duration::from_secs(120);
const CONTAINERS: usize = 10;
/// Turns of requests per run: enough for a steady median, few enough for a run of some seconds.
const TURNS: usize = 1_500;
const IMAGE_MIB: usize = 200;

/// The added microseconds of a list of ten containers, as the median of differences to a direct call right beside; the
/// floor is what a plain relay adds.
pub fn list(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let testbed = host(ours)?;
    let host = testbed.host(0);
    for _ in 0..CONTAINERS {
        host.engine_docker(&["run", "--detach", IMAGE, "sleep", "3600"])?
            .success()?;
    }
    let engine = host.engine().socket();
    let relay = Relay::start(host.files().join("relay.sock"), &engine)?;
    let mut ways = [host.socket().as_path(), relay.socket(), engine.as_path()]
        .map(|socket| Connection::open(socket, LIMIT))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let samples = (0..=runs).map(|_| added(&mut ways));
    Ok(samples.collect::<Result<Vec<_>, _>>()?.split_off(1))
}

/// One run over three ways: ours, the relay's and the direct one.
fn added(ways: &mut [Connection]) -> Result<Sample, Error> {
    let (mut ours, mut relay) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let mut took = vec![0.0; ways.len()];
        // Who goes first changes: the next finds the engine's caches warm.
        for way in 0..ways.len() {
            let way = (way + turn) % ways.len();
            took[way] = timed(&mut ways[way])?;
        }
        ours.push(took[0] - took[2]);
        relay.push(took[1] - took[2]);
    }
    Ok(Sample {
        ours: median(ours),
        stock: None,
        floor: Some(median(relay)),
    })
}

fn timed(connection: &mut Connection) -> Result<f64, Error> {
    let started = Instant::now();
    connection
        .call(&Request::new("GET", "/containers/json"))?
        .success()?;
    Ok(started.elapsed().as_secs_f64() * 1e6)
}

/// MiB/s of `docker save` through swarmrsd; the floor is the engine's own rate.
pub fn bulk(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    let testbed = host(ours)?;
    let host = testbed.host(0);
    import_big_image(host)?;
    let (through, direct) = (host.socket(), host.engine().socket());
    let mut samples = Vec::new();
    for run in 0..=runs {
        let (first, second) = if run % 2 == 0 {
            (&through, &direct)
        } else {
            (&direct, &through)
        };
        let (first, second) = (rate(first)?, rate(second)?);
        let (ours, floor) = if run % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        samples.push(Sample {
            ours,
            stock: None,
            floor: Some(floor),
        });
    }
    Ok(samples.split_off(1))
}

fn import_big_image(host: &Host) -> Result<(), Error> {
    let folder = host.files().join("big");
    std::fs::create_dir_all(&folder).tried(|| format!("make {}", folder.display()))?;
    let random = std::fs::File::open("/dev/urandom").tried(|| "open /dev/urandom".to_owned())?;
    let mut file =
        std::fs::File::create(folder.join("data")).tried(|| "make a big file".to_owned())?;
    let size = (IMAGE_MIB << 20) as u64;
    io::copy(&mut io::Read::take(random, size), &mut file)
        .tried(|| "fill a big file".to_owned())?;
    let tar = host.files().join("big.tar").to_string_lossy().into_owned();
    host.inside(&["tar", "-C", &folder.to_string_lossy(), "-cf", &tar, "."])?
        .success()?;
    host.engine_docker(&["import", &tar, "swarmrs-test/big"])?
        .success()
        .map(drop)
}

fn rate(socket: &Path) -> Result<f64, Error> {
    let started = Instant::now();
    let mut counted = Counted(0);
    let request = Request::new("GET", "/images/swarmrs-test/big/get");
    let response = Connection::open(socket, LIMIT)?.stream_into(&request, &mut counted)?;
    if response.status != 200 || counted.0 < IMAGE_MIB << 20 {
        return Err(Error::Setup(format!(
            "a save of {} bytes with status {}",
            counted.0, response.status
        )));
    }
    Ok(counted.0 as f64 / f64::from(1 << 20) / started.elapsed().as_secs_f64())
}

/// A sink that counts.
struct Counted(usize);

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn host(ours: &Options) -> Result<Testbed, Error> {
    let testbed = Testbed::hosts(1, ours)?;
    init(testbed.host(0))?;
    Ok(testbed)
}
