//! A manager's disk that is slow, or full.

use crate::day::Day;
use crate::hosts::{lead, leader, others, shared, until_led, until_well};
use crate::means::{SlowDisk, SmallDisk};

/// The manager that has the bad disk.
const AILING: usize = 1;

#[test]
fn a_leader_with_a_slow_disk_hands_over() {
    let mut testbed = shared();
    let disk = SlowDisk::of(testbed.host(AILING));
    let (library, mark) = (disk.library.to_string_lossy(), disk.mark.to_string_lossy());
    let slow = [("LD_PRELOAD", &*library), ("SLOW_SYNC", &*mark)];
    restart(&mut testbed, &slow);
    lead(&mut testbed, AILING);
    let day = Day::begin(&testbed);
    day.writes(20);
    let slowed = disk.slow();
    let begun = std::time::Instant::now();
    let next = until_led(&testbed, others(AILING)[0], &[AILING]);
    println!(
        "the leader's disk slow: {next} leads after {:?}",
        begun.elapsed()
    );
    day.writes(100);
    assert_ne!(leader(&testbed, next), Ok(AILING));
    drop(slowed);
    until_well(&testbed);
    day.end("the leader's disk slow", &testbed);
    restart(&mut testbed, &[]);
}

#[test]
fn a_manager_with_a_full_disk_leads_and_votes_no_more_until_it_has_space() {
    // Twice what is kept back, and a little.
    const SIZE: usize = 160;
    let mut testbed = shared();
    testbed.host_mut(AILING).stop_daemon().unwrap();
    let disk = SmallDisk::under(testbed.host(AILING), SIZE);
    testbed.host_mut(AILING).start_daemon().unwrap();
    lead(&mut testbed, AILING);
    let day = Day::begin(&testbed);
    day.writes(20);
    disk.fill(testbed.host(AILING));
    let next = until_led(&testbed, others(AILING)[0], &[AILING]);
    day.writes(200);
    assert_ne!(leader(&testbed, next), Ok(AILING));
    disk.clear(testbed.host(AILING));
    day.end("a full disk", &testbed);
    testbed.host_mut(AILING).stop_daemon().unwrap();
    disk.replace(testbed.host(AILING));
    testbed.host_mut(AILING).start_daemon().unwrap();
    until_well(&testbed);
}

/// The ailing manager with another environment.
fn restart(testbed: &mut crate::hosts::Shared, variables: &[(&str, &str)]) {
    let host = testbed.host_mut(AILING);
    host.stop_daemon().unwrap();
    host.set_environment(variables);
    host.start_daemon().unwrap();
    until_well(testbed);
}
