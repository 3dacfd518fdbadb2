//! A process that writes and says what was acknowledged: the test binary again, told by its
//! environment what to do.

use super::{config, create};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use swarmrs_store::{LogEngine, Store};

const FOLDER: &str = "SWARMRS_TEST_WRITER_FOLDER";
const FIRST: &str = "SWARMRS_TEST_WRITER_FIRST";
const ENGINE: &str = "SWARMRS_TEST_WRITER_ENGINE";
const SNAPSHOT: &str = "SWARMRS_TEST_WRITER_SNAPSHOT";

/// Callers that write at once.
pub const CALLERS: u64 = 8;

/// To be called by a test `the_writer`: writes until it is killed, and says each number once it is
/// acknowledged. Does nothing where nobody asked for it.
pub async fn write_if_asked() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut config = config(Path::new(&folder));
    config.engine = std::env::var(ENGINE).unwrap().parse().unwrap();
    config.snapshot.entries = std::env::var(SNAPSHOT).unwrap().parse().unwrap();
    config.snapshot.keep = 5;
    config.reserve = 0;
    let store = Arc::new(Store::open(config).await.unwrap());
    if !store.is_initialized() {
        store.initialize().await.unwrap();
    }
    let write = |caller: u64| {
        let store = store.clone();
        async move {
            for number in (first + caller..).step_by(CALLERS as usize) {
                store.propose(create(number)).await.unwrap();
                println!("ack {number}");
            }
        }
    };
    let callers: Vec<_> = (0..CALLERS).map(|c| tokio::spawn(write(c))).collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Entries between two snapshots, so that many kills meet one.
pub const OFTEN: u64 = 20;
/// None at all. A snapshot's sync makes the file system write everything down, the log as well.
pub const NEVER: u64 = u64::MAX / 4;

/// Starts a writer whose numbers begin with `first`.
pub fn start(
    folder: &Path,
    engine: LogEngine,
    first: u64,
    snapshots: u64,
) -> (Child, BufReader<ChildStdout>) {
    let mut writer = Command::new(std::env::current_exe().expect("has a path"))
        .args(["--exact", "the_writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .env(ENGINE, engine.name())
        .env(SNAPSHOT, snapshots.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let output = BufReader::new(writer.stdout.take().expect("is piped"));
    (writer, output)
}

/// The number in a line of the writer's, if it acknowledges one.
pub fn acknowledged(line: &str) -> Option<u64> {
    line.split_once("ack ")?.1.trim().parse().ok()
}

/// The next number acknowledged; `None` at the end.
pub fn next(output: &mut BufReader<ChildStdout>) -> Option<u64> {
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).expect("is text") == 0 {
            return None;
        }
        if let Some(number) = acknowledged(&line) {
            return Some(number);
        }
    }
}

/// Numbers that look random, the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    /// From the environment's `SWARMRS_TEST_SEED`, or new; printed, so that a failure can be had again.
    pub fn new() -> Self {
        let given = std::env::var("SWARMRS_TEST_SEED").ok();
        let given = given.and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| std::process::id().into());
        eprintln!("SWARMRS_TEST_SEED={seed}");
        Dice(seed)
    }

    /// A number below `bound`. Splitmix64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
