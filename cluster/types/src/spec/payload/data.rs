//! The bytes of a secret or config: base64 in JSON, as Go has it, and never in a log.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Go does not mind bits that the last character has too many.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A payload, shared, and wiped from memory with its last owner. Printing it for debugging tells its length and no more.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Data(Arc<Zeroizing<Vec<u8>>>);

impl Data {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data(Arc::new(bytes.into()))
    }
}

impl Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.len())
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&Zeroizing::new(BASE64.encode(&**self)))
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("base64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Data, E> {
        decode(text.as_bytes())
            .map_err(|at| de::Error::custom(format_args!("illegal base64 data at input byte {at}")))
    }
}

/// Decodes as Go's `base64.StdEncoding`: line breaks are skipped. The error is where Go says it is.
fn decode(text: &[u8]) -> Result<Data, usize> {
    let is_text = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let decoded = match text.iter().all(is_text) {
        true => BASE64.decode(text),
        false => {
            let text: Zeroizing<Vec<u8>> = text
                .iter()
                .copied()
                .filter(is_text)
                .collect::<Vec<_>>()
                .into();
            BASE64.decode(&*text)
        }
    };
    decoded.map(Data::from).map_err(|_| mistake(text))
}

/// The place of the first mistake in what is no base64. Source: Go `encoding/base64`, `decodeQuantum`.
fn mistake(text: &[u8]) -> usize {
    let mut digits = 0;
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {}
            b'=' if digits < 2 => return at,
            b'=' => {
                let mut rest = bytes.filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
                let second = (digits == 2).then(|| rest.next());
                return match second {
                    Some(None) => text.len(),
                    Some(Some((at, byte))) if *byte != b'=' => at - 1,
                    _ => rest.next().map_or(text.len(), |(at, _)| at),
                };
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => digits = (digits + 1) % 4,
            _ => return at,
        }
    }
    text.len() - digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::from_slice;

    fn read(text: &str) -> Result<Data, String> {
        let text = serde_json::to_string(text).unwrap();
        let decoded = from_slice(text.as_bytes());
        decoded
            .map(|it| it.value)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_payload_is_base64_in_json() {
        let data = read("aGVsbG8=").unwrap();
        assert_eq!(&*data, b"hello");
        assert_eq!(serde_json::to_string(&data).unwrap(), "\"aGVsbG8=\"");
        assert_eq!(from_slice::<Data>(b"null").unwrap().value, Data::default());
    }

    #[test]
    fn what_go_lets_pass_is_let_pass() {
        for text in ["aGVs\r\nbG8=", "aGVsbG8=\n", "aGVsbG9="] {
            assert_eq!(read(text).as_deref(), Ok(&b"hello"[..]), "{text:?}");
        }
        assert_eq!(read(""), Ok(Data::default()));
    }

    /// The numbers are those of Go's `base64.StdEncoding`.
    #[test]
    fn a_mistake_is_named_where_go_finds_it() {
        for (text, at) in [
            ("a", 0),
            ("abc", 0),
            ("abcde", 4),
            ("ab=", 3),
            ("ab=c", 2),
            ("abc=d", 4),
            ("=", 0),
            ("a===", 1),
            ("ab$d", 2),
            ("aGVsbG8=x", 8),
        ] {
            let text_of = format!("illegal base64 data at input byte {at}");
            assert_eq!(read(text), Err(text_of), "{text}");
        }
    }

    #[test]
    fn debugging_does_not_show_it() {
        let data = Data::from(b"hush".to_vec());
        assert_eq!(format!("{data:?}"), "Data(4 bytes)");
    }
}
