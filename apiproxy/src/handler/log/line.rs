//! One line of a log as it goes to the client: frame, time, details, text.

use bytes::{BufMut, Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use swarmrs_engine::{LogFrame, Source};
use swarmrs_types::{TaskId, Timestamp};

/// What Go's `url.QueryEscape` leaves as it is beside letters and digits.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Whose line it is. The stock client demands all three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub node: String,
    pub service: String,
    pub task: String,
}

impl Details {
    /// Of a task that is forgotten already.
    pub fn of_task(task: TaskId) -> Self {
        Self {
            task: task.to_string(),
            ..Self::default()
        }
    }

    /// Sorted by key.
    fn text(&self) -> String {
        let escape = |value| utf8_percent_encode(value, ESCAPED);
        format!(
            "com.docker.swarm.node.id={},com.docker.swarm.service.id={},com.docker.swarm.task.id={} ",
            escape(&self.node),
            escape(&self.service),
            escape(&self.task)
        )
    }
}

/// How lines are laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Each line in a frame that says which stream it is of; false for terminals.
    pub framed: bool,
    pub details: bool,
}

impl Layout {
    /// The bytes of one line.
    pub fn line(self, frame: &LogFrame, details: Option<&Details>) -> Bytes {
        let mut text = BytesMut::with_capacity(frame.bytes.len() + 8);
        if self.framed {
            text.put_slice(&[stream(frame.source), 0, 0, 0, 0, 0, 0, 0]);
        }
        if let Some(nanos) = frame.time_nano {
            let time = Timestamp::from_unix_nanos(i128::from(nanos));
            text.put_slice(time.with_nine_digits().as_bytes());
            text.put_u8(b' ');
        }
        if let Some(details) = details.filter(|_| self.details) {
            text.put_slice(details.text().as_bytes());
        }
        text.put_slice(&frame.bytes);
        if self.framed {
            let length = u32::try_from(text.len() - 8).unwrap_or(u32::MAX);
            text[4..8].copy_from_slice(&length.to_be_bytes());
        }
        text.freeze()
    }
}

fn stream(source: Source) -> u8 {
    match source {
        Source::Stdout => 1,
        Source::Stderr => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> LogFrame {
        LogFrame {
            source: Source::Stderr,
            time_nano: Some(1_500_000_000),
            bytes: Bytes::from_static(b"hello\n"),
        }
    }

    #[test]
    fn a_line_carries_time_then_details_in_one_frame() {
        let details = Details {
            node: "n".to_owned(),
            service: "s".to_owned(),
            task: "t".to_owned(),
        };
        let layout = Layout {
            framed: true,
            details: true,
        };
        let line = layout.line(&frame(), Some(&details));
        let text = "1970-01-01T00:00:01.500000000Z com.docker.swarm.node.id=n,com.docker.swarm.service.id=s,\
                    com.docker.swarm.task.id=t hello\n";
        assert_eq!(line[..8], [2, 0, 0, 0, 0, 0, 0, text.len() as u8]);
        assert_eq!(&line[8..], text.as_bytes());
    }

    #[test]
    fn a_terminals_line_is_as_it_was_written() {
        let layout = Layout {
            framed: false,
            details: false,
        };
        let bare = LogFrame {
            time_nano: None,
            ..frame()
        };
        assert_eq!(layout.line(&bare, None), "hello\n");
    }
}
