//! The wire format, read back by somebody else's parser, and whatever bytes may come.

use super::*;
use proptest::prelude::*;
use simple_dns::rdata::{OPT, RData};
use simple_dns::{CLASS, Name as WireName, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE};

fn asked(name: &str, kind: TYPE, size: Option<u16>) -> Vec<u8> {
    let mut packet = Packet::new_query(0x1234);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = WireName::new_unchecked(name);
    packet.questions.push(Question::new(
        name,
        QTYPE::TYPE(kind),
        CLASS::IN.into(),
        false,
    ));
    *packet.opt_mut() = size.map(|size| OPT {
        opt_codes: Vec::new(),
        udp_packet_size: size,
        version: 0,
    });
    packet.build_bytes_vec().unwrap()
}

fn v4(count: u8) -> Vec<IpAddr> {
    (0..count)
        .map(|last| IpAddr::from([10, 0, 1, last]))
        .collect()
}

fn told(answer: &[u8]) -> Packet<'_> {
    Packet::parse(answer).unwrap()
}

#[test]
fn a_question_is_read_in_lower_case_and_without_its_last_dot() {
    let packet = asked("Tasks.WEB", TYPE::AAAA, None);
    let query = Query::read(&packet).unwrap();
    assert_eq!(query.name(), Some("tasks.web"));
    assert_eq!(query.kind, kind::AAAA);
}

#[test]
fn an_answer_repeats_id_and_question_and_holds_the_addresses() {
    let packet = asked("web", TYPE::A, None);
    let query = Query::read(&packet).unwrap();
    let mut out = Vec::new();
    query.addresses(&v4(2), query.room(Carriage::Udp), &mut out);
    let message = told(&out);
    assert_eq!(message.id(), 0x1234);
    assert_eq!(message.rcode(), RCODE::NoError);
    let both = PacketFlag::RECURSION_AVAILABLE | PacketFlag::RECURSION_DESIRED;
    assert!(message.has_flags(both | PacketFlag::RESPONSE));
    assert_eq!(message.questions[0].qname.to_string(), "web");
    let found: Vec<_> = message
        .answers
        .iter()
        .map(|one| (one.name.to_string(), one.ttl, one.rdata.clone()))
        .collect();
    let data = |last| RData::A(std::net::Ipv4Addr::new(10, 0, 1, last).into());
    let wanted = |last| ("web".to_owned(), 2, data(last));
    assert_eq!(found, [wanted(0), wanted(1)]);
    assert!(message.opt().is_none());
}

#[test]
fn an_ipv6_address_is_a_record_of_its_own_kind() {
    let packet = asked("web", TYPE::AAAA, None);
    let query = Query::read(&packet).unwrap();
    let mut out = Vec::new();
    query.addresses(&["fd00::5".parse().unwrap()], 512, &mut out);
    let wanted: std::net::Ipv6Addr = "fd00::5".parse().unwrap();
    assert_eq!(told(&out).answers[0].rdata, RData::AAAA(wanted.into()));
}

#[test]
fn what_does_not_fit_over_udp_is_left_out_and_said_to_be_missing() {
    for (size, fits) in [
        (None, 30),
        (Some(100), 30),
        (Some(1232), 75),
        (Some(65_535), 75),
    ] {
        let packet = asked("web", TYPE::A, size);
        let query = Query::read(&packet).unwrap();
        let mut out = Vec::new();
        query.addresses(&v4(200), query.room(Carriage::Udp), &mut out);
        assert!(out.len() <= query.room(Carriage::Udp), "{size:?}");
        let message = told(&out);
        assert!(message.has_flags(PacketFlag::TRUNCATION), "{size:?}");
        assert_eq!(message.answers.len(), fits, "{size:?}");
        assert_eq!(message.opt().is_some(), size.is_some());
    }
}

#[test]
fn all_of_it_fits_over_tcp() {
    let packet = asked("web", TYPE::A, None);
    let query = Query::read(&packet).unwrap();
    let mut out = Vec::new();
    query.addresses(&v4(255), query.room(Carriage::Tcp), &mut out);
    let message = told(&out);
    assert!(!message.has_flags(PacketFlag::TRUNCATION));
    assert_eq!(message.answers.len(), 255);
}

#[test]
fn a_pointer_is_a_name() {
    let packet = asked("5.1.0.10.in-addr.arpa", TYPE::PTR, Some(1232));
    let query = Query::read(&packet).unwrap();
    let mut out = Vec::new();
    query.pointer("web.1.abc.net", &mut out);
    let message = told(&out);
    let RData::PTR(name) = &message.answers[0].rdata else {
        panic!("{message:?}");
    };
    assert_eq!(name.0.to_string(), "web.1.abc.net");
}

#[test]
fn a_name_that_cannot_be_written_is_our_failure() {
    let packet = asked("5.1.0.10.in-addr.arpa", TYPE::PTR, None);
    let query = Query::read(&packet).unwrap();
    for name in ["a..b", "", &"x".repeat(64), &"abc.".repeat(80)] {
        let mut out = Vec::new();
        query.pointer(name, &mut out);
        assert_eq!(told(&out).rcode(), RCODE::ServerFailure, "{name:?}");
    }
}

#[test]
fn bare_answers_carry_their_code() {
    let packet = asked("nope", TYPE::A, Some(4096));
    let query = Query::read(&packet).unwrap();
    for (code, wanted) in [
        (Code::Success, RCODE::NoError),
        (Code::NoSuchName, RCODE::NameError),
        (Code::ServerFailure, RCODE::ServerFailure),
    ] {
        let mut out = Vec::new();
        query.bare(code, &mut out);
        assert_eq!(told(&out).rcode(), wanted);
        assert!(told(&out).answers.is_empty());
    }
}

#[test]
fn unfit_packets_are_dropped_or_told_so() {
    let good = asked("web", TYPE::A, None);
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        Query::read(&bad).map(|_| ()).unwrap_err()
    };
    assert_eq!(Query::read(&good[..11]).unwrap_err(), Unfit::Drop);
    assert_eq!(with(2, 0x81), Unfit::Drop, "an answer");
    assert_eq!(
        with(2, 0x28),
        Unfit::Refuse(Code::NotImplemented),
        "an update"
    );
    assert_eq!(with(5, 0), Unfit::Refuse(Code::Malformed), "no question");
    assert_eq!(with(5, 2), Unfit::Refuse(Code::Malformed), "two questions");
    assert_eq!(
        with(12, 0xC0),
        Unfit::Refuse(Code::Malformed),
        "a name that refers to another"
    );
    assert_eq!(
        with(12, 63),
        Unfit::Refuse(Code::Malformed),
        "a label beyond the end"
    );
    for length in 12..good.len() {
        let cut = Query::read(&good[..length]).unwrap_err();
        assert_eq!(cut, Unfit::Refuse(Code::Malformed), "{length} bytes");
    }
    let mut out = Vec::new();
    refuse(&good, Code::Malformed, &mut out);
    assert_eq!(told(&out).rcode(), RCODE::FormatError);
    assert_eq!(told(&out).id(), 0x1234);
}

#[test]
fn a_name_that_no_container_has_is_read_as_none() {
    let mut packet = asked("web", TYPE::A, None);
    packet[14] = b'.';
    assert_eq!(
        Query::read(&packet).unwrap().name(),
        None,
        "a dot in a label"
    );
    packet[14] = 0xFF;
    assert_eq!(Query::read(&packet).unwrap().name(), None);
    let mut chaos = asked("web", TYPE::A, None);
    let last = chaos.len() - 1;
    chaos[last] = 3;
    assert_eq!(Query::read(&chaos).unwrap().name(), None, "another class");
}

#[test]
fn a_reply_counts_only_with_our_id_and_our_question() {
    let packet = asked("example.com", TYPE::A, None);
    let query = Query::read(&packet).unwrap();
    let mut reply = Vec::new();
    query.addresses(&v4(1), 512, &mut reply);
    assert!(answers(&query, &reply));
    let changed = |at: usize, byte: u8| {
        let mut reply = reply.clone();
        reply[at] = byte;
        reply
    };
    assert!(!answers(&query, &changed(0, 0)), "another id");
    assert!(!answers(&query, &changed(2, 0)), "a query");
    assert!(!answers(&query, &changed(14, b'y')), "another name");
    assert!(answers(&query, &changed(13, b'E')), "another case");
    assert!(!answers(&query, &reply[..11]));
    let mut unread = Vec::new();
    refuse(&packet, Code::Malformed, &mut unread);
    assert!(answers(&query, &unread), "a server that could not read it");
}

proptest! {
    #[test]
    fn no_packet_does_harm(packet in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut out = Vec::new();
        match Query::read(&packet) {
            Ok(query) => {
                query.addresses(&v4(9), query.room(Carriage::Udp), &mut out);
                prop_assert!(out.len() <= query.room(Carriage::Udp));
                prop_assert!(answers(&query, &out));
            }
            Err(Unfit::Refuse(code)) => {
                refuse(&packet, code, &mut out);
                prop_assert_eq!(out.len(), 12);
            }
            Err(Unfit::Drop) => {}
        }
    }

    #[test]
    fn a_changed_query_does_no_harm(at in 0usize..40, byte: u8, size in proptest::option::of(any::<u16>())) {
        let mut packet = asked("tasks.web", TYPE::A, size);
        let length = packet.len();
        packet[at % length] = byte;
        if let Ok(query) = Query::read(&packet) {
            let mut out = Vec::new();
            query.pointer("web.1.abc.net", &mut out);
            prop_assert!(out.len() <= 512);
            let _ = query.name();
        }
    }
}
