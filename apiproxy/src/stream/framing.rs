//! Where an HTTP/1.1 message's body ends, found while its bytes pass by unchanged.
//!
//! Stricter than any server we stand in front of: what this accepts, the engine reads with the same end. A line break is
//! CR LF and nothing else, because a reader that takes a bare LF would see another message than we do.

/// The bytes do not follow the chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked encoding")]
pub(crate) struct Malformed;

/// How much of a body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Exactly this many bytes.
    Length(u64),
    /// The chunked coding, with trailers.
    Chunked(Chunk),
    /// All bytes until the sender closes.
    UntilClose,
}

/// A place in the chunked coding: what is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size { digits: u8, value: u64 },
    Padding(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunk {
    pub(crate) const START: Self = Self::Size {
        digits: 0,
        value: 0,
    };
}

/// 15 hexadecimal digits cannot overflow, and no chunk is 2^60 bytes long.
const MAX_SIZE_DIGITS: u8 = 15;

impl Framing {
    /// No body at all.
    pub(crate) const NONE: Self = Self::Length(0);
    /// A chunked body from its start.
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunk::START);

    /// Whether the whole body has passed.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// How many bytes at the front of `bytes` belong to the body; they count as passed.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::UntilClose => Ok(bytes.len()),
            Self::Length(left) => Ok(take_up_to(left, bytes.len())),
            Self::Chunked(chunk) => take_chunked(chunk, bytes),
        }
    }
}

/// Takes `available` from `left`, as far as it goes.
fn take_up_to(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left -= taken as u64;
    taken
}

fn take_chunked(chunk: &mut Chunk, bytes: &[u8]) -> Result<usize, Malformed> {
    let mut at = 0;
    while at < bytes.len() && *chunk != Chunk::Done {
        if let Chunk::Data(left) = chunk {
            at += take_up_to(left, bytes.len() - at);
            if *left == 0 {
                *chunk = Chunk::DataCr;
            }
            continue;
        }
        *chunk = next(*chunk, bytes[at])?;
        at += 1;
    }
    Ok(at)
}

/// The place after one byte that is not data.
fn next(chunk: Chunk, byte: u8) -> Result<Chunk, Malformed> {
    Ok(match (chunk, byte) {
        (Chunk::Size { digits: 1.., value }, b'\r')
        | (Chunk::Padding(value) | Chunk::Extension(value), b'\r') => Chunk::SizeLf(value),
        (Chunk::Size { digits: 1.., value }, b' ' | b'\t')
        | (Chunk::Padding(value), b' ' | b'\t') => Chunk::Padding(value),
        (Chunk::Size { digits: 1.., value }, b';') | (Chunk::Padding(value), b';') => {
            Chunk::Extension(value)
        }
        (Chunk::Size { digits, value }, byte) => size_digit(digits, value, byte)?,
        (Chunk::Extension(value), byte) if byte != b'\n' => Chunk::Extension(value),
        (Chunk::SizeLf(0), b'\n') => Chunk::TrailerStart,
        (Chunk::SizeLf(value), b'\n') => Chunk::Data(value),
        (Chunk::DataCr, b'\r') => Chunk::DataLf,
        (Chunk::DataLf, b'\n') => Chunk::START,
        (Chunk::TrailerStart, b'\r') => Chunk::LastLf,
        (Chunk::Trailer, b'\r') => Chunk::TrailerLf,
        (Chunk::TrailerStart | Chunk::Trailer, byte) if byte != b'\n' => Chunk::Trailer,
        (Chunk::TrailerLf, b'\n') => Chunk::TrailerStart,
        (Chunk::LastLf, b'\n') => Chunk::Done,
        _ => return Err(Malformed),
    })
}

fn size_digit(digits: u8, value: u64, byte: u8) -> Result<Chunk, Malformed> {
    let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
    if digits == MAX_SIZE_DIGITS {
        return Err(Malformed);
    }
    Ok(Chunk::Size {
        digits: digits + 1,
        value: value << 4 | u64::from(digit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of `step` and says how many belong to the body.
    fn taken(bytes: &[u8], step: usize) -> Result<(usize, bool), Malformed> {
        let mut framing = Framing::CHUNKED;
        let mut total = 0;
        for piece in bytes.chunks(step) {
            let n = framing.take(piece)?;
            total += n;
            if n < piece.len() {
                break;
            }
        }
        Ok((total, framing.is_done()))
    }

    #[test]
    fn a_chunked_body_ends_at_the_same_byte_however_it_is_cut() {
        let body = b"5\r\nhello\r\nA;name=\"x\"\r\n0123456789\r\n0  \r\nDigest: abc\r\n\r\n";
        let stream = [body.as_slice(), b"POST /swarm/init"].concat();
        for step in 1..stream.len() {
            assert_eq!(
                taken(&stream, step),
                Ok((body.len(), true)),
                "in pieces of {step}"
            );
        }
    }

    #[test]
    fn anything_that_two_readers_could_read_differently_is_malformed() {
        for bad in [
            "5\nhello\r\n0\r\n\r\n",
            "5;a\nhello\r\n0\r\n\r\n",
            "\r\nhello",
            "0x5\r\nhello",
            "+5\r\nhello",
            " 5\r\nhello",
            "5 5\r\nhello",
            "5\r\nhelloX\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\nA: b\n\r\n",
            "0\r\nA: b\rx\r\n\r\n",
            "1000000000000000\r\n",
            "5\r\rhello",
        ] {
            assert_eq!(taken(bad.as_bytes(), 1), Err(Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_length_takes_what_is_its_own_and_no_more() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.take(b"hel"), Ok(3));
        assert!(!framing.is_done());
        assert_eq!(framing.take(b"loPOST"), Ok(2));
        assert!(framing.is_done());
    }
}
