//! Two minutes without a free processor: nobody is elected, and no node is taken for down.

use std::process::Stdio;
use std::time::{Duration, Instant};

use swarmrs_compat_tests::Testbed;

use crate::day::Day;
use crate::hosts::{MANAGERS, leader, nodes, shared, until};

const BUSY: Duration = Duration::from_secs(120);

#[test]
#[ignore = "two minutes with all processors taken: contrib/test.sh --only busy"]
fn nobody_is_elected_while_all_processors_are_taken() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    let before = elected(&testbed);
    let seconds = BUSY.as_secs().to_string();
    let mut stress = std::process::Command::new("stress-ng")
        .args(["--cpu", "0", "--timeout", &seconds])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("no stress-ng (Debian: apt-get install stress-ng)");
    let begun = Instant::now();
    let mut down = 0;
    while stress.try_wait().unwrap().is_none() {
        let shown = until("the nodes", || nodes(testbed.host(led)));
        down += shown
            .iter()
            .filter(|line| !line.contains(" Ready "))
            .count();
        assert!(begun.elapsed() < 2 * BUSY, "stress-ng does not end");
        std::thread::sleep(Duration::from_secs(1));
    }
    let elections = elected(&testbed) - before;
    println!("{elections} elections, {down} nodes seen as not ready");
    day.end("all processors taken", &testbed);
    assert_eq!((elections, down), (0, 0));
}

/// How often any manager took the lead.
fn elected(testbed: &Testbed) -> usize {
    let logs = (0..MANAGERS).map(|manager| testbed.host(manager).daemon().log());
    let took = |log: std::path::PathBuf| {
        let text = std::fs::read_to_string(log).unwrap();
        text.matches("this manager leads").count()
    };
    logs.map(took).sum()
}
