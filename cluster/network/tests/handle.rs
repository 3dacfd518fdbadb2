//! The way from swarmrsd to the holder: found, lost, found again, cleared.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::time::{Duration, Instant};
use support::{Rig, facts, network, owner, settings};
use swarmrs_network::holder::control::Call;
use swarmrs_network::{Error, Handle, Launch, Plane};
use swarmrs_types::endpoint::FactDiff;

/// Starts nothing: the holder of these tests is in this process.
fn handle(rig: &Rig) -> Handle {
    Handle::new(Launch {
        program: "/bin/false".into(),
        exec_root: rig.config.exec_root.clone(),
        data_root: rig.config.data_root.clone(),
        arguments: Vec::new(),
        unit: None,
    })
}

fn all() -> FactDiff {
    FactDiff {
        put: facts(),
        remove: Vec::new(),
    }
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test]
async fn what_is_told_reaches_the_holder() {
    let mut rig = Rig::empty();
    rig.start().await;
    let handle = handle(&rig);
    handle.attend(settings());
    handle.tell(all(), true).await.unwrap();
    assert_eq!(rig.fake.taken(), ["open", "tell +2 -0 complete=true"]);
    handle
        .drain(network(), owner(), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(handle.ports().await.unwrap(), []);
    assert_eq!(handle.warnings().await.unwrap(), ["the VNI 4097 is taken"]);
}

#[tokio::test]
async fn a_holder_that_comes_again_is_told_everything() {
    let mut rig = Rig::empty();
    rig.start().await;
    let handle = handle(&rig);
    handle.attend(settings());
    handle.tell(all(), true).await.unwrap();
    rig.kill().await;
    rig.fake.taken();
    rig.start().await;
    let fake = rig.fake.clone();
    until("told again", || {
        let calls = fake.kernel().calls.clone();
        calls
            .last()
            .is_some_and(|last| last == "tell +2 -0 complete=true")
    })
    .await;
    handle.tell(FactDiff::default(), false).await.unwrap();
}

#[tokio::test]
async fn whoever_can_say_nothing_has_a_holder_stand_on_what_the_last_one_stood_on() {
    let mut rig = Rig::told().await;
    rig.control(Call::Retire).await;
    rig.ended().await.unwrap();
    rig.start().await;
    let handle = handle(&rig);
    handle.attend_as_before().unwrap();
    handle.ports().await.unwrap();
    assert_eq!(rig.fake.taken(), ["open", "tell +2 -0 complete=true"]);
}

#[tokio::test]
async fn where_no_holder_was_there_is_nothing_to_stand_on() {
    let rig = Rig::empty();
    let handle = handle(&rig);
    handle.attend_as_before().unwrap();
    let asked = handle.ports().await;
    assert!(matches!(asked, Err(Error::Alone)), "{asked:?}");
}

#[tokio::test]
async fn a_call_waits_for_a_holder_that_is_on_its_way() {
    let mut rig = Rig::told().await;
    let handle = handle(&rig);
    handle.attend(settings());
    handle.ports().await.unwrap();
    rig.kill().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    rig.start().await;
    let told = async {
        loop {
            // Said once in a second while it cannot be started, and then again.
            match handle.tell(all(), true).await {
                Err(Error::Launch(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                told => return told,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), told)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_holder_that_cannot_be_started_is_said_to_be_so_at_once() {
    let rig = Rig::empty();
    let handle = handle(&rig);
    handle.attend(settings());
    let began = Instant::now();
    let told = handle.tell(all(), true).await;
    assert!(matches!(told, Err(Error::Launch(_))), "{told:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn outside_a_swarm_there_is_nobody_to_tell() {
    let rig = Rig::empty();
    let handle = handle(&rig);
    let told = handle.tell(all(), true).await;
    assert!(matches!(told, Err(Error::Alone)), "{told:?}");
    handle.clear().await.unwrap();
}

#[tokio::test]
async fn clearing_ends_the_holder_and_no_other_comes() {
    let mut rig = Rig::empty();
    rig.start().await;
    let handle = handle(&rig);
    handle.attend(settings());
    handle.tell(all(), true).await.unwrap();
    handle.clear().await.unwrap();
    rig.ended().await.unwrap();
    assert!(!rig.config.state().exists() && !rig.config.socket().exists());
    let told = handle.tell(all(), true).await;
    assert!(matches!(told, Err(Error::Alone)), "{told:?}");
}
