//! Managers that are cut off, wholly or one way only, and come back.

use std::thread;
use std::time::{Duration, Instant};

use crate::day::Day;
use crate::hosts::{leader, others, shared, until_led};
use crate::means::{OneWay, Way};

/// How long a cut lasts: longer than any election, shorter than it takes until a node is down.
const CUT: Duration = Duration::from_secs(3);

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_comes_back() {
    let testbed = shared();
    let mut day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    testbed.cut_off(led).unwrap();
    let cut = Instant::now();
    let next = until_led(&testbed, others(led)[0], &[led]);
    let took = day.next_write();
    println!("the leader cut off: {next} leads, next write after {took:?} more");
    day.writes(50);
    testbed.reconnect(led).unwrap();
    until_led(&testbed, led, &[led]);
    day.was_away(&testbed, led, cut);
    day.end("the leader cut off", &testbed);
}

#[test]
fn a_leader_that_hears_nothing_or_is_not_heard_is_replaced() {
    let testbed = shared();
    let mut day = Day::begin(&testbed);
    for way in [Way::In, Way::Out] {
        let led = leader(&testbed, 0).unwrap();
        let begun = Instant::now();
        let cut = OneWay::cut(testbed.host(led), way);
        let next = until_led(&testbed, others(led)[0], &[led]);
        let took = day.next_write();
        println!("the leader cut one way, {way:?}: {next} leads, next write after {took:?} more");
        day.writes(30);
        drop(cut);
        until_led(&testbed, led, &[led]);
        day.was_away(&testbed, led, begun);
    }
    day.end("the leader cut one way", &testbed);
}

#[test]
fn a_follower_that_hears_nothing_or_is_not_heard_unseats_nobody() {
    let testbed = shared();
    let mut day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    let follower = others(led)[1];
    for way in [Way::In, Way::Out] {
        let begun = Instant::now();
        let cut = OneWay::cut(testbed.host(follower), way);
        thread::sleep(CUT);
        day.writes(20);
        drop(cut);
        day.was_away(&testbed, follower, begun);
        assert_eq!(leader(&testbed, led), Ok(led), "{way:?}");
    }
    let begun = Instant::now();
    testbed.cut_off(follower).unwrap();
    thread::sleep(CUT);
    day.writes(20);
    testbed.reconnect(follower).unwrap();
    day.was_away(&testbed, follower, begun);
    assert_eq!(leader(&testbed, led), Ok(led));
    day.end("a follower cut off", &testbed);
}
