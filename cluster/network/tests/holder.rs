//! The holder's life, and what swarmrsd says to it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::time::{Duration, Instant};
use support::{Rig, facts, network, owner};
use swarmrs_network::holder::control::{Call, Reply};
use swarmrs_network::holder::{Error, frame};
use swarmrs_types::endpoint::FactDiff;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

#[tokio::test]
async fn facts_before_settings_are_kept_and_refused() {
    let mut rig = Rig::empty();
    rig.start().await;
    let told = rig.tell(facts(), true).await;
    assert!(matches!(told, Reply::Failed(_)), "{told:?}");
    rig.attend().await;
    assert_eq!(rig.fake.taken(), ["open", "tell +2 -0 complete=true"]);
}

#[tokio::test]
async fn a_holder_that_is_attended_again_opens_nothing_anew() {
    let rig = Rig::told().await;
    rig.attend().await;
    rig.tell(facts(), true).await;
    assert_eq!(rig.fake.taken(), ["tell +2 -0 complete=true"]);
}

#[tokio::test]
async fn the_attending_connection_ends_with_the_holder() {
    let mut rig = Rig::told().await;
    let mut attending = rig.attend().await;
    rig.kill().await;
    let end = tokio::time::timeout(Duration::from_secs(1), attending.read_u8());
    assert!(end.await.expect("the end").is_err());
}

#[tokio::test]
async fn a_new_holder_goes_on_where_the_killed_one_was_within_a_second() {
    let mut rig = Rig::told().await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.kill().await;
    let began = Instant::now();
    rig.start().await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(rig.fake.taken(), ["open", "tell +2 -0 complete=true"]);
}

#[tokio::test]
async fn there_is_one_holder_for_an_exec_root() {
    let rig = Rig::told().await;
    let opener = Box::new(rig.fake.clone());
    let second = swarmrs_network::holder::run_with(rig.config.clone(), opener).await;
    assert!(matches!(second, Err(Error::Running { .. })), "{second:?}");
    let warnings = rig.control(Call::Warnings).await;
    assert!(matches!(warnings, Reply::Warnings(texts) if texts == ["the VNI 4097 is taken"]));
}

#[tokio::test]
async fn a_holder_waits_until_the_one_before_has_ended() {
    let mut rig = Rig::told().await;
    rig.kill().await;
    let file = File::open(rig.config.exec_root.join("holder.lock")).unwrap();
    let ending = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let end = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(ending);
    });
    rig.start().await;
    assert!(end.is_finished());
    rig.attend().await;
}

#[tokio::test]
async fn draining_ends_with_the_last_flow_or_by_force() {
    let rig = Rig::told().await;
    let drain = |limit| Call::Drain {
        network: network(),
        owner: owner(),
        limit,
    };
    let began = Instant::now();
    rig.control(drain(Duration::from_secs(5))).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "nothing to wait for"
    );
    rig.fake.kernel().flows = 2;
    let closing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        // Others are served meanwhile.
        rig.tell(facts(), false).await;
        rig.fake.kernel().flows = 0;
    };
    let (reply, ()) = tokio::join!(rig.control(drain(Duration::from_secs(5))), closing);
    assert!(matches!(reply, Reply::Done));
    assert_eq!(rig.fake.taken(), ["tell +2 -0 complete=false"]);
    rig.fake.kernel().flows = 2;
    let (began, limit) = (Instant::now(), Duration::from_millis(100));
    rig.control(drain(limit)).await;
    assert!(began.elapsed() >= limit, "they had their time");
    assert_eq!(rig.fake.taken(), ["reset"]);
}

#[tokio::test]
async fn clearing_leaves_nothing() {
    let mut rig = Rig::told().await;
    rig.endpoint().await;
    rig.fake.taken();
    assert!(matches!(rig.control(Call::Clear).await, Reply::Done));
    rig.ended().await.unwrap();
    assert_eq!(rig.fake.taken(), ["clear"]);
    for path in [
        rig.config.state(),
        rig.config.socket(),
        rig.config.driver_socket.clone(),
    ] {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn a_retired_holder_leaves_everything_to_the_next() {
    let mut rig = Rig::told().await;
    assert!(matches!(rig.control(Call::Retire).await, Reply::Done));
    rig.ended().await.unwrap();
    assert_eq!(rig.fake.taken(), [""; 0]);
    rig.start().await;
    assert_eq!(rig.fake.taken(), ["open", "tell +2 -0 complete=true"]);
}

#[tokio::test]
async fn another_version_and_an_unknown_call_are_told_so() {
    let rig = Rig::told().await;
    let mut stream = UnixStream::connect(rig.config.socket()).await.unwrap();
    let newer = serde_json::json!({"version": 99, "call": {"dance": {}}});
    frame::send(&mut stream, &newer).await.unwrap();
    let reply: Reply = frame::receive(&mut stream).await.unwrap();
    assert!(matches!(reply, Reply::Version(1)), "{reply:?}");
    let mut stream = UnixStream::connect(rig.config.socket()).await.unwrap();
    let unknown = serde_json::json!({"version": 1, "call": {"dance": {}}});
    frame::send(&mut stream, &unknown).await.unwrap();
    let reply: Reply = frame::receive(&mut stream).await.unwrap();
    assert!(matches!(reply, Reply::Failed(_)), "{reply:?}");
}

#[tokio::test]
async fn a_state_of_a_newer_release_is_refused_by_name() {
    let mut rig = Rig::empty();
    std::fs::create_dir_all(rig.config.state()).unwrap();
    let file = rig.config.state().join("driver.json");
    std::fs::write(&file, r#"{"version": 7}"#).unwrap();
    rig.start().await;
    let error = rig.ended().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("driver.json was written by a newer release"),
        "{error}"
    );
}

#[tokio::test]
async fn what_was_told_is_in_force_whatever_is_told_twice() {
    let rig = Rig::told().await;
    let nothing = FactDiff::default();
    let gone = Call::Tell {
        diff: nothing,
        complete: true,
    };
    assert!(matches!(rig.control(gone).await, Reply::Done));
    assert_eq!(rig.fake.taken(), ["tell +0 -0 complete=true"]);
    let answer = rig
        .call("NetworkDriver.CreateNetwork", &support::create_network())
        .await;
    assert!(
        answer["Err"].is_string(),
        "the network is forgotten: {answer}"
    );
}
