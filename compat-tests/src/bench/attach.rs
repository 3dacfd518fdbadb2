//! What an attached stream costs swarmrsd while it has nothing to carry.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::Sample;
use super::idle::resident;
use crate::error::Tried;
use crate::testbed::IMAGE;
use crate::{Error, Host, Options, Testbed};

const STREAMS: usize = 2_000;
/// What each stream carries before it rests, so that a buffer that was needed once is seen if it is kept.
const BURST: usize = 64 * 1024;
const KIB: f64 = 1024.0;

/// KiB of memory for each of 2,000 attached streams that have carried something and rest.
pub fn streams(runs: usize, ours: &Options) -> Result<Vec<Sample>, Error> {
    allow_descriptors()?;
    (0..runs).map(|_| one(ours)).collect()
}

fn one(ours: &Options) -> Result<Sample, Error> {
    let testbed = Testbed::hosts(1, ours)?;
    let host = testbed.host(0);
    // Each line that comes in is answered with a burst to everybody.
    let script = format!("while read -r line; do head -c {BURST} /dev/zero; done");
    let name = "attached";
    let run = [
        "run",
        "--detach",
        "--interactive",
        "--name",
        name,
        IMAGE,
        "sh",
        "-c",
    ];
    host.docker(&[&run[..], &[&script]].concat())?.success()?;
    let before = resident(&testbed)?;
    let mut streams = (0..STREAMS)
        .map(|_| attach(host, name))
        .collect::<Result<Vec<_>, _>>()?;
    streams[0]
        .write_all(b"go\n")
        .tried(|| "write to an attached stream".to_owned())?;
    let mut burst = vec![0; BURST];
    for stream in &mut streams {
        stream
            .read_exact(&mut burst)
            .tried(|| "read an attached stream".to_owned())?;
    }
    let used = (resident(&testbed)? - before) * KIB / STREAMS as f64;
    Ok(Sample {
        ours: used,
        stock: None,
        floor: None,
    })
}

/// An attached stream whose head has been read.
fn attach(host: &Host, container: &str) -> Result<UnixStream, Error> {
    let mut stream = UnixStream::connect(host.socket()).tried(|| "connect".to_owned())?;
    let target = format!("/v1.41/containers/{container}/attach?stream=1&stdin=1&stdout=1");
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp";
    write!(
        stream,
        "POST {target} HTTP/1.1\r\nHost: docker\r\n{upgrade}\r\n\r\n"
    )
    .tried(|| "attach".to_owned())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream
            .read_exact(&mut byte)
            .tried(|| "read the answer to an attach".to_owned())?;
        head.extend(byte);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err(Error::Setup(String::from_utf8_lossy(&head).into_owned())),
    }
}

fn allow_descriptors() -> Result<(), Error> {
    let raise = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    };
    raise().map_err(|error| Error::Setup(format!("raise the limit of open files: {error}")))
}
