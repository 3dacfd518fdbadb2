//! From the bytes of a log answer to lines.
//!
//! Without a terminal the engine frames its answer: one byte of stream, three zeros, four bytes of length (big endian), then
//! one message. A message is a line, or 16 KiB of a longer one; with timestamps each message begins with one, also in
//! the middle of a long line. With a terminal the answer is the raw output, and only its line ends divide it.

use bytes::{Buf, Bytes, BytesMut};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{LogFrame, Source};
use crate::error::Error;

const HEADER: usize = 8;

/// The longest message taken for one. Log drivers cut at 16 KiB; a length far beyond means that we lost the framing.
const MESSAGE_LIMIT: usize = 16 << 20;

/// The longest line put together; a longer one is told in pieces, so that a program that never ends a line costs no
/// more memory than this.
const LINE_LIMIT: usize = 1 << 20;

/// Takes chunks cut anywhere, gives lines.
pub(super) struct Decoder {
    framing: Framing,
    pending: BytesMut,
    stdout: Line,
    stderr: Line,
}

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Raw,
    Multiplexed,
}

impl Decoder {
    pub(super) fn new(tty: bool, timestamps: bool) -> Self {
        let framing = if tty {
            Framing::Raw
        } else {
            Framing::Multiplexed
        };
        let line = |source| Line {
            source,
            timestamps,
            time_nano: None,
            bytes: BytesMut::new(),
        };
        Self {
            framing,
            pending: BytesMut::new(),
            stdout: line(Source::Stdout),
            stderr: line(Source::Stderr),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Vec<LogFrame>, Error> {
        self.pending.extend_from_slice(chunk);
        let mut frames = Vec::new();
        match self.framing {
            Framing::Raw => self.raw(&mut frames),
            Framing::Multiplexed => self.multiplexed(&mut frames)?,
        }
        Ok(frames)
    }

    /// The lines that never got their end. Half a frame is not a line: the engine was cut off in it.
    pub(super) fn finish(mut self) -> Vec<LogFrame> {
        let mut frames = Vec::new();
        if self.framing == Framing::Raw && !self.pending.is_empty() {
            self.stdout.message(self.pending.freeze(), &mut frames);
        }
        self.stdout.flush(&mut frames);
        self.stderr.flush(&mut frames);
        frames
    }

    fn raw(&mut self, frames: &mut Vec<LogFrame>) {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line = self.pending.split_to(end + 1).freeze();
            self.stdout.message(line, frames);
        }
        if self.pending.len() >= LINE_LIMIT {
            self.stdout.message(self.pending.split().freeze(), frames);
            self.stdout.flush(frames);
        }
    }

    fn multiplexed(&mut self, frames: &mut Vec<LogFrame>) -> Result<(), Error> {
        while let Some((stream, message)) = self.frame()? {
            match stream {
                0 | 1 => self.stdout.message(message, frames),
                2 => self.stderr.message(message, frames),
                // The engine's own channel: it could not read the log any further.
                3 => {
                    return Err(Error::Failed {
                        message: String::from_utf8_lossy(&message).trim().to_owned(),
                    });
                }
                other => return Err(Error::protocol("logs", format!("unknown stream {other}"))),
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<Option<(u8, Bytes)>, Error> {
        let Some((header, rest)) = self.pending.split_at_checked(HEADER) else {
            return Ok(None);
        };
        let (stream, mut length) = (header[0], &header[4..]);
        let length = length.get_u32() as usize;
        if length > MESSAGE_LIMIT {
            return Err(Error::protocol(
                "logs",
                format!("a message of {length} bytes"),
            ));
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.pending.advance(HEADER);
        Ok(Some((stream, self.pending.split_to(length).freeze())))
    }
}

/// The line of one stream that is being put together.
struct Line {
    source: Source,
    timestamps: bool,
    /// Of the line's first message.
    time_nano: Option<i64>,
    bytes: BytesMut,
}

impl Line {
    fn message(&mut self, message: Bytes, frames: &mut Vec<LogFrame>) {
        let (time_nano, text) = if self.timestamps {
            stamped(message)
        } else {
            (None, message)
        };
        if self.bytes.is_empty() {
            self.time_nano = time_nano;
        }
        self.bytes.extend_from_slice(&text);
        if self.bytes.ends_with(b"\n") || self.bytes.len() >= LINE_LIMIT {
            self.flush(frames);
        }
    }

    fn flush(&mut self, frames: &mut Vec<LogFrame>) {
        if !self.bytes.is_empty() {
            let bytes = self.bytes.split().freeze();
            frames.push(LogFrame {
                source: self.source,
                time_nano: self.time_nano,
                bytes,
            });
        }
    }
}

/// Splits `2026-11-22T10:00:00.000000001Z text`. What does not begin with a time is left whole.
fn stamped(message: Bytes) -> (Option<i64>, Bytes) {
    let Some(end) = message.iter().position(|byte| *byte == b' ') else {
        return (None, message);
    };
    match moment(&message[..end]) {
        Some(time_nano) => (Some(time_nano), message.slice(end + 1..)),
        None => (None, message),
    }
}

fn moment(text: &[u8]) -> Option<i64> {
    let time = OffsetDateTime::parse(std::str::from_utf8(text).ok()?, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(stream: u8, message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], message].concat()
    }

    fn line(source: Source, time_nano: Option<i64>, text: &str) -> LogFrame {
        LogFrame {
            source,
            time_nano,
            bytes: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn decode(mut decoder: Decoder, chunks: &[&[u8]]) -> Vec<LogFrame> {
        let mut frames: Vec<_> = chunks
            .iter()
            .flat_map(|chunk| decoder.push(chunk).unwrap())
            .collect();
        frames.extend(decoder.finish());
        frames
    }

    #[test]
    fn frames_cut_anywhere_give_the_same_lines() {
        let stream = [
            framed(1, b"one\n"),
            framed(2, b"two\n"),
            framed(1, b"three"),
        ]
        .concat();
        let expected = [
            line(Source::Stdout, None, "one\n"),
            line(Source::Stderr, None, "two\n"),
            line(Source::Stdout, None, "three"),
        ];
        for cut in 0..=stream.len() {
            let (first, second) = stream.split_at(cut);
            assert_eq!(
                decode(Decoder::new(false, false), &[first, second]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_long_line_in_pieces_is_one_line_with_the_time_of_its_first_piece() {
        let stream = [
            framed(1, b"1970-01-01T00:00:01.000000002Z aaa "),
            framed(2, b"1970-01-01T00:00:09Z other\n"),
            framed(1, b"1970-01-01T00:00:01.000000003Z bbb\n"),
        ]
        .concat();
        let expected = [
            line(Source::Stderr, Some(9_000_000_000), "other\n"),
            line(Source::Stdout, Some(1_000_000_002), "aaa bbb\n"),
        ];
        assert_eq!(decode(Decoder::new(false, true), &[&stream]), expected);
    }

    #[test]
    fn an_empty_line_keeps_its_time() {
        let stream = framed(1, b"1970-01-01T00:00:01Z \n");
        assert_eq!(
            decode(Decoder::new(false, true), &[&stream]),
            [line(Source::Stdout, Some(1_000_000_000), "\n")]
        );
    }

    #[test]
    fn a_terminal_may_write_bytes_that_look_like_a_frame() {
        let expected = [
            line(Source::Stdout, None, "\u{1}\0\0\0\0\0\0\u{9}x\r\n"),
            line(Source::Stdout, None, "$ "),
        ];
        assert_eq!(
            decode(
                Decoder::new(true, false),
                &[b"\x01\0\0\0\0\0\0", b"\x09x\r\n$ "]
            ),
            expected
        );
    }

    #[test]
    fn a_terminals_lines_carry_times_too() {
        let expected = [
            line(Source::Stdout, Some(1_000_000_000), "x\r\n"),
            line(Source::Stdout, Some(2_000_000_000), "y"),
        ];
        let chunks: [&[u8]; 2] = [b"1970-01-01T00:00:01Z x\r\n1970-01", b"-01T00:00:02Z y"];
        assert_eq!(decode(Decoder::new(true, true), &chunks), expected);
    }

    #[test]
    fn a_line_without_end_is_told_in_pieces() {
        let mut decoder = Decoder::new(false, false);
        let piece = framed(1, &[b'x'; 1 << 16]);
        let told: usize = (0..32)
            .flat_map(|_| decoder.push(&piece).unwrap())
            .map(|frame| frame.bytes.len())
            .sum();
        assert_eq!(told, 2 << 20);
    }

    #[test]
    fn the_engines_own_trouble_is_an_error_in_its_words() {
        let error = Decoder::new(false, false)
            .push(&framed(3, b"Error grabbing logs: EOF\n"))
            .unwrap_err();
        assert_eq!(error.message(), "Error grabbing logs: EOF");
    }

    #[test]
    fn a_lost_framing_is_noticed() {
        assert!(Decoder::new(false, false).push(b"GET / HTTP/1.1").is_err());
        assert!(
            Decoder::new(false, false)
                .push(b"\x01\0\0\0\xff\xff\xff\xff")
                .is_err()
        );
    }
}
