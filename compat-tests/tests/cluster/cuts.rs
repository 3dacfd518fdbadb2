//! Managers that are cut off, wholly or one way only, and come back.

use std::thread;
use std::time::Duration;

use crate::day::Day;
use crate::hosts::{leader, others, shared, until_led, until_well};
use crate::means::{OneWay, Way};

/// How long a cut lasts: longer than any election, shorter than it takes until a node is down.
const CUT: Duration = Duration::from_secs(3);

#[test]
fn a_leader_that_is_cut_off_is_replaced_and_comes_back() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    testbed.cut_off(led).unwrap();
    let next = until_led(&testbed, others(led)[0], &[led]);
    let took = day.next_write();
    println!("the leader cut off: {next} leads, next write after {took:?} more");
    day.writes(50);
    testbed.reconnect(led).unwrap();
    until_led(&testbed, led, &[led]);
    // On a slow machine it may have been away long enough to be taken for down.
    day.end_but_for("the leader cut off", &testbed, &[led]);
}

#[test]
fn a_leader_that_hears_nothing_or_is_not_heard_is_replaced() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let mut cut_off = Vec::new();
    for way in [Way::In, Way::Out] {
        let led = leader(&testbed, 0).unwrap();
        cut_off.push(led);
        let cut = OneWay::cut(testbed.host(led), way);
        let next = until_led(&testbed, others(led)[0], &[led]);
        let took = day.next_write();
        println!("the leader cut one way, {way:?}: {next} leads, next write after {took:?} more");
        day.writes(30);
        drop(cut);
        until_led(&testbed, led, &[led]);
        until_well(&testbed);
    }
    day.end_but_for("the leader cut one way", &testbed, &cut_off);
}

#[test]
fn a_follower_that_hears_nothing_or_is_not_heard_unseats_nobody() {
    let testbed = shared();
    let day = Day::begin(&testbed);
    let led = leader(&testbed, 0).unwrap();
    let follower = others(led)[1];
    for way in [Way::In, Way::Out] {
        let cut = OneWay::cut(testbed.host(follower), way);
        thread::sleep(CUT);
        day.writes(20);
        drop(cut);
        until_well(&testbed);
        assert_eq!(leader(&testbed, led), Ok(led), "{way:?}");
    }
    testbed.cut_off(follower).unwrap();
    thread::sleep(CUT);
    day.writes(20);
    testbed.reconnect(follower).unwrap();
    until_well(&testbed);
    assert_eq!(leader(&testbed, led), Ok(led));
    day.end_but_for("a follower cut off", &testbed, &[follower]);
}
