//! How log lines of tasks come to the manager that was asked for them.
//!
//! ```text
//!   node ◀──Notice::Logs── manager with its session ◀──RelayLogs── manager that was asked
//!        ───Ticket, lines─▶                          ───lines────▶
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use swarmrs_types::TaskId;

/// Which lines are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsWanted {
    pub task: TaskId,
    #[serde(default)]
    pub stdout: bool,
    #[serde(default)]
    pub stderr: bool,
    #[serde(default)]
    pub follow: bool,
    /// Nanoseconds since 1970; nothing older.
    #[serde(default)]
    pub since: Option<i64>,
    /// How many of the lines already written; none: all.
    #[serde(default)]
    pub tail: Option<u64>,
    #[serde(default)]
    pub timestamps: bool,
}

/// Asks a node to bring lines in a conversation of its own ([`Logs`](crate::Method::Logs)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsNotice {
    /// What the node is to say first.
    pub ticket: Ticket,
    /// Where the manager listens, `host:port`.
    pub to: String,
    pub wanted: LogsWanted,
}

/// The first frame of that conversation: which notice it answers. Drawn, so that no node can answer
/// another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// One line, its line end included if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub is_error: bool,
    /// Nanoseconds since 1970, if that was asked for.
    pub time_nano: Option<i64>,
    pub bytes: Bytes,
}

const ERROR: u8 = 1;
const TIMED: u8 = 2;

impl LogLine {
    /// The frame: flags, the time if there is one (8 bytes, big endian), the line.
    pub fn frame(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(9 + self.bytes.len());
        let timed = self.time_nano.map_or(0, |_| TIMED);
        frame.put_u8(if self.is_error { ERROR } else { 0 } | timed);
        if let Some(time) = self.time_nano {
            frame.put_i64(time);
        }
        frame.put_slice(&self.bytes);
        frame.freeze()
    }

    /// The line of a frame; none if it is no line.
    pub fn of_frame(mut frame: Bytes) -> Option<LogLine> {
        let flags = frame.try_get_u8().ok()?;
        let time_nano = match flags & TIMED {
            0 => None,
            _ => Some(frame.try_get_i64().ok()?),
        };
        Some(LogLine {
            is_error: flags & ERROR != 0,
            time_nano,
            bytes: frame,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_line_are_fixed() {
        let plain = LogLine {
            is_error: false,
            time_nano: None,
            bytes: Bytes::from_static(b"one\n"),
        };
        assert_eq!(&plain.frame()[..], b"\0one\n");
        let timed = LogLine {
            is_error: true,
            time_nano: Some(258),
            bytes: Bytes::from_static(b"two"),
        };
        assert_eq!(&timed.frame()[..], b"\x03\0\0\0\0\0\0\x01\x02two");
        for line in [plain, timed] {
            assert_eq!(LogLine::of_frame(line.frame()), Some(line));
        }
        for no_line in [&b""[..], b"\x02\0\0"] {
            assert_eq!(LogLine::of_frame(Bytes::from_static(no_line)), None);
        }
    }
}
