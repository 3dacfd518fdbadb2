//! A power cut loses nothing that was acknowledged.
//!
//! The writer is stopped in mid-write, and the image below its file system is copied: that is what
//! the disk has. The copy is mounted, which replays the file system's journal, and the store opened
//! on it. The test itself is tested: sled with its own `flush` alone must be seen to lose.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{BufReader, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use support::disk::Disk;
use support::writer::{self, Dice};
use support::{config, networks};
use swarmrs_store::{LogEngine, Store};

const ROUNDS: u64 = 3;
/// Of the control. It loses in two of three.
const MOST_ROUNDS: u64 = 20;
const CONTROL: &str = "SWARMRS_TEST_CONTROL_FOLDER";

#[tokio::test]
async fn the_writer() {
    writer::write_if_asked().await;
}

/// Stops a process with all its threads, and returns once it stands still.
fn stop(process: &Child) {
    let pid = i32::try_from(process.id()).expect("is a process id");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("can be stopped");
    let deadline = Instant::now() + Duration::from_secs(20);
    let stat = format!("/proc/{pid}/stat");
    while !std::fs::read_to_string(&stat)
        .expect("it is there")
        .contains(") T ")
    {
        assert!(Instant::now() < deadline, "was not stopped");
        std::thread::yield_now();
    }
}

/// What a stopped process has said so far.
fn drain(output: &mut BufReader<ChildStdout>) -> Vec<u64> {
    let pipe = output.get_ref();
    nix::fcntl::fcntl(
        pipe,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap_or_else(|error| panic!("pipe {}: {error}", pipe.as_raw_fd()));
    let mut said = Vec::new();
    // Ends with an error once nothing more is there; what was read until then stays.
    let _nothing_more = output.read_to_end(&mut said);
    let said = String::from_utf8(said).expect("is text");
    // A last line without its end was never said in full.
    let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter_map(writer::acknowledged).collect()
}

/// Lets a writer run for a while and cuts the power. Returns the disk, and what was acknowledged.
fn cut(
    disk: &Disk,
    dice: &mut Dice,
    (process, output): (Child, BufReader<ChildStdout>),
) -> (Disk, BTreeSet<u64>) {
    let (mut process, mut output) = (process, output);
    let mut said = BTreeSet::new();
    let acks = 40 + dice.below(200) as usize;
    while said.len() < acks {
        said.insert(writer::next(&mut output).expect("writes until it is stopped"));
    }
    std::thread::sleep(Duration::from_micros(dice.below(20_000)));
    stop(&process);
    said.extend(drain(&mut output));
    let after = disk.after_power_cut();
    process.kill().expect("can be killed");
    process.wait().expect("ends");
    (after, said)
}

async fn loses_nothing(engine: LogEngine) {
    let mut dice = Dice::new();
    for round in 0..ROUNDS {
        let disk = Disk::new(64);
        let writer = writer::start(&disk.path().join("raft"), engine, 0, writer::NEVER);
        let (after, said) = cut(&disk, &mut dice, writer);
        let mut config = config(&after.path().join("raft"));
        (config.engine, config.reserve, config.was_initialized) = (engine, 0, true);
        let store = Store::open(config).await.unwrap();
        let found: BTreeSet<u64> = networks(&store.view()).iter().map(|(n, _)| *n).collect();
        let lost: Vec<_> = said.difference(&found).collect();
        assert!(
            lost.is_empty(),
            "round {round}: of {} lost {lost:?}",
            said.len()
        );
        store.shutdown().await.unwrap();
        eprintln!("{engine}: {} acknowledged, none lost", said.len());
    }
}

#[tokio::test]
async fn redb_loses_nothing() {
    loses_nothing(LogEngine::Redb).await;
}

#[tokio::test]
async fn sled_with_our_sync_loses_nothing() {
    loses_nothing(LogEngine::Sled).await;
}

/// What sled promises by itself: an entry, `flush`, an acknowledgement.
#[test]
fn the_control() {
    let Some(folder) = std::env::var_os(CONTROL) else {
        return;
    };
    let log = sled::open(folder).unwrap();
    for number in 0u64.. {
        log.insert(number.to_be_bytes(), vec![7; 1024]).unwrap();
        log.flush().unwrap();
        println!("ack {number}");
    }
}

fn start_control(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut process = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "the_control", "--nocapture"])
        .env(CONTROL, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = BufReader::new(process.stdout.take().expect("is piped"));
    (process, output)
}

/// How many of the acknowledged entries are there; none if sled panics over its own file.
fn found_by_sled(folder: &Path) -> usize {
    let read = || sled::open(folder).map_or(0, |log| log.iter().filter(Result::is_ok).count());
    std::panic::catch_unwind(read).unwrap_or(0)
}

#[test]
fn sled_with_its_plain_flush_is_seen_to_lose() {
    let mut dice = Dice::new();
    for round in 1..=MOST_ROUNDS {
        let disk = Disk::new(64);
        let folder = disk.path().join("sled");
        let (after, said) = cut(&disk, &mut dice, start_control(&folder));
        let found = found_by_sled(&after.path().join("sled"));
        eprintln!(
            "control, round {round}: {} acknowledged, {found} found",
            said.len()
        );
        if found < said.len() {
            return;
        }
    }
    panic!("nothing was lost in {MOST_ROUNDS} rounds: this test cannot see a loss");
}
