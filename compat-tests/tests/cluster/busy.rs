//! Two minutes without a free processor: nobody is elected, and no node is taken for down.
//!
//! The load is stress-ng's, which contrib/test.sh installs for this part: one worker for each processor at the priority of
//! everything else. An election, won or not, raises the term of every manager that hears of it.

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
    let before = terms(&testbed);
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
    let terms = terms(&testbed);
    println!(
        "measured: all processors taken: terms {before:?} to {terms:?}, {down} nodes seen as not ready"
    );
    // It takes no host for down either, which none was long enough away for.
    day.end("all processors taken", &testbed);
    assert_eq!((terms, down), (before, 0));
}

/// Which term each manager is in.
fn terms(testbed: &Testbed) -> [u64; MANAGERS] {
    const NAME: &str = "swarmrs_raft_term ";
    std::array::from_fn(|manager| {
        let page = testbed
            .host(manager)
            .api("GET", "/swarmrs/v1/read/metrics", None);
        let page = page.unwrap().text();
        let mut terms = page.lines().filter_map(|line| line.strip_prefix(NAME));
        terms.next().unwrap().parse().unwrap()
    })
}
