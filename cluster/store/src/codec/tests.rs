use super::*;
use swarmrs_core::State;
use swarmrs_security::DataKey;
use swarmrs_types::{ClusterTime, Timestamp};

fn codec() -> Codec {
    Codec::new(Sealer::new(&DataKey::from_bytes([7; DataKey::LEN])))
}

fn entry(payload: Payload) -> Entry {
    Entry {
        log_id: log_id(2, 7),
        payload,
    }
}

fn command() -> Command {
    Command {
        time: ClusterTime(5),
        wall: Timestamp::from_unix_nanos(1),
        guards: Vec::new(),
        changes: Vec::new(),
    }
}

fn membership() -> Membership {
    let addresses = BTreeMap::from([(1, "10.0.0.1:2377".to_owned()), (2, String::new())]);
    Membership::new(vec![BTreeSet::from([1])], addresses).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    assert_eq!(bytes[0], 1);
    std::str::from_utf8(&bytes[1..]).unwrap()
}

#[test]
fn a_log_entry_is_a_version_byte_and_json() {
    let payloads = [
        (Payload::Blank, r#""blank""#),
        (
            Payload::Normal(Proposal::read(Arc::new(command()), None)),
            r#"{"command":{"time":5,"wall":"1970-01-01T00:00:00.000000001Z","guards":[],"changes":[]}}"#,
        ),
        (
            Payload::Membership(membership()),
            r#"{"membership":{"voters":[[1]],"addresses":{"1":"10.0.0.1:2377","2":""}}}"#,
        ),
    ];
    for (payload, body) in payloads {
        let entry = entry(payload);
        let bytes = plain(&EntryRecord::from(&entry)).unwrap();
        let expected = format!(r#"{{"term":2,"index":7,"body":{body}}}"#);
        assert_eq!(text(&bytes), expected);

        let read = codec()
            .read_entry(7, &codec().entry(&entry).unwrap())
            .unwrap();
        assert_eq!(format!("{read:?}"), format!("{entry:?}"));
    }
}

#[test]
fn a_request_stands_before_the_command_it_asks_for() {
    let request = Request {
        session: 7,
        number: 3,
        settled: 2,
    };
    let proposal = Proposal::read(Arc::new(command()), Some(request));
    let entry = entry(Payload::Normal(proposal));
    let bytes = plain(&EntryRecord::from(&entry)).unwrap();
    let expected = r#"{"term":2,"index":7,"request":{"session":7,"number":3,"settled":2},"body":"#;
    assert!(text(&bytes).starts_with(expected), "{}", text(&bytes));
    let read: EntryRecord = read(&bytes).unwrap();
    assert_eq!(read.request, Some(request));
}

#[test]
fn members_that_left_stand_in_a_snapshot() {
    let at = StoredMembership::new(Some(log_id(1, 0)), membership());
    let departed = BTreeSet::from([3, 9]);
    let record = SnapshotRecord::new(None, &at, departed.clone(), State::default().snapshot());
    let bytes = record.to_bytes().unwrap();
    assert!(text(&bytes).contains(r#""departed":[3,9],"state""#));
    assert_eq!(
        SnapshotRecord::from_bytes(&bytes).unwrap().departed,
        departed
    );
}

#[test]
fn json_at_hand_is_written_as_it_is_and_made_anew_after_that() {
    let json = serde_json::value::to_raw_value(&command()).unwrap();
    let entry = entry(Payload::Normal(Proposal::new(command(), None, json)));
    assert!(!format!("{entry:?}").contains("\"time\""), "JSON is shown");
    let first = plain(&EntryRecord::from(&entry)).unwrap();
    let second = plain(&EntryRecord::from(&entry)).unwrap();
    assert!(text(&first).contains(r#""body":{"command":{"time":5"#));
    assert_eq!(text(&first), text(&second));
}

#[test]
fn a_mark_is_a_version_byte_and_json_that_says_which_it_is() {
    let marks = [
        (
            Mark::Vote(Vote::new(3, 9)),
            r#"{"vote":{"term":3,"candidate":9,"committed":false}}"#,
        ),
        (
            Mark::Vote(Vote::new_committed(3, 9)),
            r#"{"vote":{"term":3,"candidate":9,"committed":true}}"#,
        ),
        (
            Mark::Committed(log_id(3, 12)),
            r#"{"committed":{"term":3,"index":12}}"#,
        ),
        (
            Mark::Purged(log_id(1, 4)),
            r#"{"purged":{"term":1,"index":4}}"#,
        ),
        (Mark::Owner(5), r#"{"owner":{"raft_id":5}}"#),
        (
            Mark::End(End {
                sync: 8,
                last: Some(3),
            }),
            r#"{"end":{"sync":8,"last":3}}"#,
        ),
    ];
    for (mark, expected) in marks {
        assert_eq!(text(&plain(&MarkRecord::from(&mark)).unwrap()), expected);
        let sealed = codec().mark(&mark).unwrap();
        assert_eq!(codec().read_mark(mark.name(), &sealed).unwrap(), mark);
    }
}

#[test]
fn a_snapshot_is_a_version_byte_and_json() {
    let at = log_id(1, 0);
    let members = StoredMembership::new(Some(at), membership());
    let departed = BTreeSet::new();
    let state = State::default().snapshot();
    let record = SnapshotRecord::new(Some(log_id(2, 9)), &members, departed, state);
    let bytes = record.to_bytes().unwrap();
    assert_eq!(
        text(&bytes),
        concat!(
            r#"{"last":{"term":2,"index":9},"#,
            r#""membership":{"voters":[[1]],"addresses":{"1":"10.0.0.1:2377","2":""}},"#,
            r#""membership_at":{"term":1,"index":0},"#,
            r#""state":{"format":1,"applied":0,"time":0,"objects":[]}}"#,
        )
    );
    let read = SnapshotRecord::from_bytes(&bytes).unwrap();
    assert_eq!(read.last(), Some(log_id(2, 9)));
    assert_eq!(read.membership().unwrap(), members);
}

#[test]
fn every_flipped_bit_of_a_record_is_noticed() {
    let sealed = codec().entry(&entry(Payload::Blank)).unwrap();
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 0x10;
        assert!(codec().read_entry(7, &flipped).is_err(), "byte {at}");
    }
}

#[test]
fn a_record_in_the_place_of_another_is_noticed() {
    let sealed = codec().entry(&entry(Payload::Blank)).unwrap();
    let error = codec().read_entry(8, &sealed).unwrap_err();
    assert!(matches!(error, BadRecord::Misplaced { .. }), "{error}");

    let sealed = codec().mark(&Mark::Purged(log_id(1, 4))).unwrap();
    let error = codec().read_mark("committed", &sealed).unwrap_err();
    assert!(matches!(error, BadRecord::Misplaced { .. }), "{error}");
}

#[test]
fn a_record_of_a_newer_release_is_refused_by_its_number() {
    let sealed = codec().seal(b"\x02whatever").unwrap();
    let error = codec().read_entry(7, &sealed).unwrap_err();
    assert!(matches!(error, BadRecord::Newer(2)), "{error}");
}
