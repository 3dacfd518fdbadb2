use super::*;
use crate::raft::Membership;
use std::collections::{BTreeMap, BTreeSet};
use swarmrs_core::{Command, Key};
use swarmrs_types::{ClusterTime, Timestamp};

const COMMAND: &str =
    r#"{"time":5,"wall":"1970-01-01T00:00:00.000000001Z","guards":[],"changes":[]}"#;

fn command() -> Command {
    Command {
        time: ClusterTime(5),
        wall: Timestamp::from_unix_nanos(1),
        guards: Vec::new(),
        changes: Vec::new(),
    }
}

fn request() -> Request {
    Request {
        session: 7,
        number: 3,
        settled: 2,
    }
}

fn vote() -> VoteWire {
    Vote::new_committed(4, 1).into()
}

fn at(term: u64, index: u64) -> Option<At> {
    Some(log_id(term, index).into())
}

fn text(bytes: &[u8]) -> &str {
    assert_eq!(bytes[0], 1);
    std::str::from_utf8(&bytes[1..]).unwrap()
}

fn check<T: Serialize>(message: &T, expected: &str) -> Bytes {
    let bytes = encode(message).unwrap();
    assert_eq!(text(&bytes), expected);
    bytes
}

#[test]
fn entries_go_with_their_places_and_commands_as_they_were_proposed() {
    let json = serde_json::value::to_raw_value(&command()).unwrap();
    let addresses = BTreeMap::from([(1, "10.0.0.1:2377".to_owned()), (2, String::new())]);
    let membership = Membership::new(vec![BTreeSet::from([1])], addresses).unwrap();
    let payloads = [
        Payload::Blank,
        Payload::Normal(Proposal::shared(command(), Some(request()), json)),
        Payload::Normal(Proposal::read(command().into(), None)),
        Payload::Membership(membership),
    ];
    let entries: Vec<Entry> = payloads
        .into_iter()
        .zip(8..)
        .map(|(payload, index)| Entry {
            log_id: log_id(4, index),
            payload,
        })
        .collect();
    let texts = entries.iter().map(|entry| match &entry.payload {
        Payload::Normal(proposal) => Some(proposal.share_json().unwrap()),
        _ => None,
    });
    let texts: Vec<_> = texts.collect();
    let wire = |(entry, json)| EntryWire::new(entry, Option::as_deref(json));
    let question = AppendQuestion {
        to: 2,
        vote: vote(),
        after: at(3, 7),
        committed: None,
        sum: Some((6, 77)),
        entries: entries.iter().zip(&texts).map(wire).collect(),
    };
    let expected = [
        r#"{"to":2,"vote":{"term":4,"candidate":1,"committed":true},"after":[3,7],"committed":null,"sum":[6,77],"entries":["#,
        r#"{"at":[4,8],"body":"blank"},"#,
        r#"{"at":[4,9],"request":{"session":7,"number":3,"settled":2},"body":{"command":"#,
        COMMAND,
        r#"}},{"at":[4,10],"body":{"command":"#,
        COMMAND,
        r#"}},{"at":[4,11],"body":{"membership":{"voters":[[1]],"addresses":{"1":"10.0.0.1:2377","2":""}}}}]}"#,
    ];
    let bytes = check(&question, &expected.concat());
    let read: AppendQuestion = decode(&bytes).unwrap();
    let read = read.entries.into_iter().map(|e| e.into_entry().unwrap());
    assert_eq!(
        format!("{:?}", read.collect::<Vec<_>>()),
        format!("{entries:?}")
    );
}

#[test]
fn what_a_newer_member_says_in_a_command_is_passed_on() {
    let json = COMMAND.replace("\"guards\"", "\"novelty\":[1],\"guards\"");
    let question = format!(
        r#"{{"to":2,"vote":{{"term":1,"candidate":1}},"after":null,"committed":null,"entries":[{{"at":[1,1],"body":{{"command":{json}}}}}]}}"#
    );
    let bytes = [&[1], question.as_bytes()].concat();
    let question: AppendQuestion = decode(&bytes).unwrap();
    let entry = question
        .entries
        .into_iter()
        .next()
        .unwrap()
        .into_entry()
        .unwrap();
    let Payload::Normal(proposal) = entry.payload else {
        panic!("{entry:?}");
    };
    assert_eq!(proposal.take_json().unwrap().get(), json);
}

#[test]
fn questions_are_a_version_byte_and_json() {
    check(
        &VoteQuestion {
            to: 2,
            kind: VoteKind::Pre,
            vote: Vote::new(5, 3).into(),
            last: at(4, 9),
        },
        r#"{"to":2,"kind":"pre","vote":{"term":5,"candidate":3},"last":[4,9]}"#,
    );
    check(
        &TransferQuestion {
            to: 2,
            vote: vote(),
            next: 3,
            last: None,
        },
        r#"{"to":2,"vote":{"term":4,"candidate":1,"committed":true},"next":3,"last":null}"#,
    );
    let json = serde_json::value::to_raw_value(&command()).unwrap();
    let question = ProposeQuestion {
        to: 1,
        request: request(),
        command: &json,
    };
    let expected = r#"{"to":1,"request":{"session":7,"number":3,"settled":2},"command":"#;
    check(&question, &format!("{expected}{COMMAND}}}"));
    let read = |wants_state| ReadQuestion { to: 1, wants_state };
    check(&read(false), r#"{"to":1}"#);
    check(&read(true), r#"{"to":1,"wants_state":true}"#);
}

#[test]
fn a_part_of_a_snapshot_follows_its_json() {
    let question = |begins_anew| SnapshotQuestion {
        to: 2,
        vote: vote(),
        last: at(4, 9),
        size: 5,
        offset: 2,
        begins_anew,
    };
    let asked_for = encode_part(&question(true), b"xyz").unwrap();
    let end = br#""offset":2,"begins_anew":true}xyz"#;
    assert!(asked_for.ends_with(end), "{asked_for:?}");
    let question = question(false);
    let bytes = encode_part(&question, b"xyz").unwrap();
    let json = r#"{"to":2,"vote":{"term":4,"candidate":1,"committed":true},"last":[4,9],"size":5,"offset":2}"#;
    let expected = [
        b"\x01\0\0\0",
        &[json.len() as u8][..],
        json.as_bytes(),
        b"xyz",
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(decode_part(&bytes).unwrap(), (question, b"xyz".as_slice()));
    for length in 0..bytes.len() - 3 {
        assert!(decode_part(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn answers_say_what_they_are() {
    let answers = [
        (AppendAnswer::Taken, r#"{"answer":"taken"}"#),
        (AppendAnswer::Conflict, r#"{"answer":"conflict"}"#),
        (
            AppendAnswer::HigherVote(Vote::new(9, 2).into()),
            r#"{"answer":{"higher_vote":{"term":9,"candidate":2}}}"#,
        ),
    ];
    for (answer, expected) in answers {
        check(&Answer::Answer(answer), expected);
    }
    let vote = Vote::new(9, 2).into();
    check(
        &Answer::Answer(VoteAnswer {
            vote,
            is_granted: true,
            last: None,
        }),
        r#"{"answer":{"vote":{"term":9,"candidate":2},"is_granted":true,"last":null}}"#,
    );
    let wanted = SnapshotAnswer::Wanted { offset: 7 };
    check(&wanted, r#"{"wanted":{"offset":7}}"#);
    check(
        &SnapshotAnswer::Done { vote },
        r#"{"done":{"vote":{"term":9,"candidate":2}}}"#,
    );
    check(&TransferAnswer::Taken, r#""taken""#);
    check(
        &TransferAnswer::Behind { last: at(1, 2) },
        r#"{"behind":{"last":[1,2]}}"#,
    );
    let refusals = [
        (Refusal::Dismissed, r#"{"refused":"dismissed"}"#),
        (
            Refusal::Misdirected { here: 3 },
            r#"{"refused":{"misdirected":{"here":3}}}"#,
        ),
        (
            Refusal::Impostor {
                from: 1,
                claimed: 2,
            },
            r#"{"refused":{"impostor":{"from":1,"claimed":2}}}"#,
        ),
        (
            Refusal::Unready("x".to_owned()),
            r#"{"refused":{"unready":"x"}}"#,
        ),
    ];
    for (refusal, expected) in refusals {
        let bytes = check(&Answer::<()>::Refused(refusal.clone()), expected);
        assert_eq!(
            decode::<Answer<()>>(&bytes).unwrap(),
            Answer::Refused(refusal)
        );
    }
}

#[test]
fn what_the_leader_says_comes_through_as_it_was() {
    let leader = Some(Member {
        raft_id: 2,
        address: "10.0.0.2:2377".to_owned(),
    });
    let rejected = Rejected::OutOfSequence(Key::Cluster);
    let results = [
        (Ok(7), r#"{"index":7}"#),
        (
            Err(ProposeError::Rejected(rejected)),
            r#"{"rejected":{"OutOfSequence":"cluster"}}"#,
        ),
        (
            Err(ProposeError::NotLeader { leader }),
            r#"{"not_leader":{"leader":[2,"10.0.0.2:2377"]}}"#,
        ),
        (Err(ProposeError::Unknown { leader: None }), r#""unknown""#),
        (
            Err(ProposeError::TooLarge {
                changes: 501,
                bytes: 9,
            }),
            r#"{"too_large":{"changes":501,"bytes":9}}"#,
        ),
        (
            Err(ProposeError::NoSpace {
                folder: "/x".into(),
                free: 1,
                reserve: 2,
            }),
            r#"{"no_space":{"folder":"/x","free":1,"reserve":2}}"#,
        ),
        (
            Err(ProposeError::Disk("gone".to_owned())),
            r#"{"disk":"gone"}"#,
        ),
    ];
    for (result, expected) in results {
        let before = format!("{result:?}");
        let bytes = check(&LeaderAnswer::from(result), expected);
        let after: Result<u64, ProposeError> = decode::<LeaderAnswer>(&bytes).unwrap().into();
        assert_eq!(format!("{after:?}"), before);
    }
}

#[test]
fn a_message_of_a_newer_release_is_refused_by_its_number() {
    let error = decode::<ReadQuestion>(b"\x02{}").unwrap_err();
    assert!(matches!(error, BadRecord::Newer(2)), "{error}");
    assert!(decode::<ReadQuestion>(b"").is_err());
    assert!(decode::<ReadQuestion>(b"\x01nonsense").is_err());
}
