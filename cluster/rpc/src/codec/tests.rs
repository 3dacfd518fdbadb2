//! The bytes of frames, which other releases read.

use super::*;
use crate::Refusal;
use proptest::prelude::*;
use swarmrs_types::Fault;

fn pieces(bytes: &[u8], size: usize, limit: usize) -> Result<Vec<Frame>, Malformed> {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(piece);
        while let Some(frame) = decoder.next()? {
            frames.push(frame);
        }
    }
    assert!(decoder.is_empty());
    Ok(frames)
}

#[test]
fn a_frame_is_its_length_and_its_bytes() {
    let frame = Frame::Message(Bytes::from_static(b"raft"));
    assert_eq!(frame.bytes().as_ref(), b"\x00\x00\x00\x04raft");
    let frame = Frame::Message(Bytes::new());
    assert_eq!(frame.bytes().as_ref(), b"\x00\x00\x00\x00");
    let frame = Frame::Refusal(Bytes::from_static(b"{}"));
    assert_eq!(frame.bytes().as_ref(), b"\x80\x00\x00\x02{}");
}

#[test]
fn a_refusal_is_this_json() {
    let refusal = Refusal::from(Fault::no_such("node", "x"));
    assert_eq!(
        to_json(&refusal).unwrap().as_ref(),
        br#"{"reason":"service","fault":{"code":"NotFound","origin":"Daemon","text":"node x not found"}}"#
    );
}

#[test]
fn frames_arrive_in_any_pieces() {
    let frames = [
        Frame::Message(Bytes::from(vec![7; 300])),
        Frame::Message(Bytes::new()),
        Frame::Refusal(Bytes::from_static(b"no")),
    ];
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes()).collect();
    for size in [1, 2, 3, 5, 64, 1000] {
        assert_eq!(pieces(&bytes, size, 300).unwrap(), frames, "{size}");
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_by_its_length_alone() {
    let mut decoder = Decoder::new(10);
    decoder.push(&11u32.to_be_bytes());
    assert_eq!(
        decoder.next(),
        Err(Malformed::TooLong {
            length: 11,
            limit: 10
        })
    );
    let mut decoder = Decoder::new(10);
    decoder.push(&[0xff; 4]);
    assert!(matches!(decoder.next(), Err(Malformed::TooLong { .. })));
}

proptest! {
    #[test]
    fn whatever_arrives_is_frames_or_an_error(
        bytes in proptest::collection::vec(prop_oneof![Just(0u8), 0u8..6, any::<u8>()], 0..200),
        size in 1usize..20,
    ) {
        let mut decoder = Decoder::new(64);
        let (mut taken, mut over) = (0, false);
        for piece in bytes.chunks(size) {
            decoder.push(piece);
            while let Ok(Some(frame)) = decoder.next() {
                taken += frame.bytes().len();
            }
            over = decoder.next().is_err();
            if over {
                break;
            }
        }
        prop_assert!(over || taken + decoder.buffer.len() == bytes.len());
    }
}

#[test]
fn a_length_takes_no_memory() {
    let mut decoder = Decoder::new(usize::MAX);
    decoder.push(&0x7fff_ffffu32.to_be_bytes());
    assert_eq!(decoder.next(), Ok(None));
    assert!(decoder.buffer.capacity() < 1024);
}
