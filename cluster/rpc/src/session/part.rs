//! A message in parts, since one may be longer than a frame.
//!
//! Each frame begins with one byte: 1 if more of the message follows, 0 if it ends here.

use crate::codec::Malformed;
use bytes::{BufMut as _, Bytes, BytesMut};

/// Bytes of a message in one frame; one less than the frame's limit in the table.
const PART: usize = 1024 * 1024 - 1;

const LAST: u8 = 0;
const MORE: u8 = 1;

/// The frames of a message.
pub(super) fn parts(mut message: Bytes) -> impl Iterator<Item = Bytes> {
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let piece = message.split_to(message.len().min(PART));
        is_over = message.is_empty();
        let mut frame = BytesMut::with_capacity(1 + piece.len());
        frame.put_u8(if is_over { LAST } else { MORE });
        frame.extend_from_slice(&piece);
        Some(frame.freeze())
    })
}

/// Puts messages together again.
#[derive(Debug)]
pub(super) struct Whole {
    so_far: Vec<u8>,
    limit: usize,
}

impl Whole {
    pub(super) fn new(limit: usize) -> Self {
        Whole {
            so_far: Vec::new(),
            limit,
        }
    }

    /// The message, if this part is its last.
    pub(super) fn add(&mut self, part: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
        let Some((mark, piece)) = part.split_first() else {
            return Err(Malformed::CutShort);
        };
        let (length, limit) = (self.so_far.len() + piece.len(), self.limit);
        if length > limit {
            return Err(Malformed::TooLong { length, limit });
        }
        self.so_far.extend_from_slice(piece);
        match *mark {
            LAST => Ok(Some(std::mem::take(&mut self.so_far))),
            MORE => Ok(None),
            _ => Err(Malformed::Trailing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_again() {
        for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART] {
            let message = Bytes::from((0..length).map(|at| at as u8).collect::<Vec<_>>());
            let frames: Vec<Bytes> = parts(message.clone()).collect();
            assert_eq!(frames.len(), length.div_ceil(PART).max(1));
            let mut whole = Whole::new(length);
            let mut found: Vec<_> = frames.iter().map(|frame| whole.add(frame)).collect();
            assert_eq!(found.pop(), Some(Ok(Some(message.to_vec()))));
            assert!(found.iter().all(|one| one == &Ok(None)));
        }
    }

    #[test]
    fn a_part_says_whether_it_is_the_last() {
        let frames: Vec<Bytes> = parts(Bytes::from_static(b"{}")).collect();
        assert_eq!(frames, [Bytes::from_static(b"\x00{}")]);
        let mut whole = Whole::new(4);
        assert_eq!(whole.add(b"\x01ab"), Ok(None));
        assert_eq!(whole.add(b"\x00cd"), Ok(Some(b"abcd".to_vec())));
        assert_eq!(whole.add(b"\x01abcd"), Ok(None));
        let too_long = Malformed::TooLong {
            length: 5,
            limit: 4,
        };
        assert_eq!(whole.add(b"\x00e"), Err(too_long));
        assert_eq!(Whole::new(4).add(b""), Err(Malformed::CutShort));
        assert_eq!(Whole::new(4).add(b"\x02"), Err(Malformed::Trailing));
    }
}
