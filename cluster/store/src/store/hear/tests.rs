use super::*;
use crate::config::Config;
use crate::raft::log_id;
use crate::wire::{SnapshotQuestion, encode_part};
use swarmrs_security::{DataKey, Sealer};

/// One part that says to be the whole of a snapshot, and holds none.
fn whole() -> Bytes {
    let question = SnapshotQuestion {
        to: 2,
        vote: VoteWire {
            term: 1,
            candidate: 1,
            committed: true,
        },
        last: Some(log_id(1, 9).into()),
        size: 4,
        offset: 0,
        begins_anew: false,
    };
    encode_part(&question, b"none").unwrap()
}

async fn send(store: &Store) -> String {
    let answer = store.hear(Ask::Snapshot, Some(1), whole()).await;
    match decode::<Answer<SnapshotAnswer>>(&answer).unwrap() {
        Answer::Refused(refusal) => refusal.to_string(),
        Answer::Answer(answer) => panic!("{answer:?}"),
    }
}

#[tokio::test]
async fn a_snapshot_that_ends_while_the_disk_fails_is_taken_up_when_it_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let sealer = Sealer::new(&DataKey::from_bytes([7; DataKey::LEN]));
    let config = Config::new(folder.path(), 2, "127.0.0.1:2377", sealer);
    let store = Store::open(config).await.unwrap();
    let core = store.shared.raft().unwrap();
    store.shared.fail("no space".to_owned());
    let refused = send(&store).await;
    assert!(refused.contains("no space"), "{refused}");
    store.shared.run(core);
    // It is looked into, not waited for.
    let refused = send(&store).await;
    assert!(refused.contains("record"), "{refused}");
}
