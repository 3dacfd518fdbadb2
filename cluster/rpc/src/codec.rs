//! The frames that bodies are made of, and JSON in them.
//!
//! ```text
//!   ┌─┬──────────────┬─────────────┐
//!   │R│ length (31)  │ bytes       │   length: big endian
//!   └─┴──────────────┴─────────────┘   R: the bytes are a refusal, and the last of the stream
//! ```
//!
//! A frame's length is compared with the limit before any of its bytes are kept, and memory is taken as bytes arrive,
//! never on the word of a length.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Bytes before a frame's own.
pub(crate) const HEAD: usize = 4;

const REFUSAL: u32 = 1 << 31;

/// What one frame brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Message(Bytes),
    /// A [`Refusal`](crate::Refusal) in JSON.
    Refusal(Bytes),
}

impl Frame {
    /// The frame as it travels. Longer than 2 GiB it cannot be; the tables' limits are far below.
    pub(crate) fn bytes(&self) -> Bytes {
        let (mark, body) = match self {
            Frame::Message(body) => (0, body),
            Frame::Refusal(body) => (REFUSAL, body),
        };
        let length = u32::try_from(body.len()).unwrap_or(REFUSAL - 1) & !REFUSAL;
        let mut bytes = BytesMut::with_capacity(HEAD + body.len());
        bytes.put_u32(length | mark);
        bytes.extend_from_slice(body);
        bytes.freeze()
    }
}

/// Why bytes are not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a frame of {length} bytes, where {limit} is the most")]
    TooLong { length: usize, limit: usize },
    #[error("a frame was cut short")]
    CutShort,
    #[error("no frame where one belongs")]
    Missing,
    #[error("more after the last frame")]
    Trailing,
    #[error("not the JSON that was expected: {0}")]
    Json(String),
}

/// Puts frames together from the pieces in which they arrive.
#[derive(Debug)]
pub(crate) struct Decoder {
    buffer: BytesMut,
    limit: usize,
}

/// A refusal may have this many bytes even where messages may not.
const REFUSAL_LIMIT: usize = 64 * 1024;

impl Decoder {
    /// Takes frames of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Decoder {
            buffer: BytesMut::new(),
            limit,
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let Some(head) = self.buffer.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let head = u32::from_be_bytes(*head);
        let is_refusal = head & REFUSAL != 0;
        let length = usize::try_from(head & !REFUSAL).unwrap_or(usize::MAX);
        let limit = if is_refusal {
            self.limit.max(REFUSAL_LIMIT)
        } else {
            self.limit
        };
        if length > limit {
            return Err(Malformed::TooLong { length, limit });
        }
        if self.buffer.len() < HEAD + length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(match is_refusal {
            true => Frame::Refusal(body),
            false => Frame::Message(body),
        }))
    }

    /// Whether no part of a frame is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// A message as JSON, wiped from memory with its last owner: it may have a secret in it.
pub fn to_json(message: &impl Serialize) -> Result<Bytes, Malformed> {
    let json = serde_json::to_vec(message);
    json.map(|json| Bytes::from_owner(Zeroizing::new(json)))
        .map_err(|error| Malformed::Json(error.to_string()))
}

/// A message from JSON. Fields that are not known are passed over.
pub fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(bytes).map_err(|error| Malformed::Json(error.to_string()))
}

#[cfg(test)]
mod tests;
