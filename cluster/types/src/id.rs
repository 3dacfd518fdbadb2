//! Object identifiers: 25 characters of base 36, as Docker draws them.
//!
//! One representation ([`RawId`]) and one list of kinds; each kind is a type of its own, so that a
//! task's id cannot be passed where a node's is wanted.

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Length of every object id in characters.
pub const LEN: usize = 25;

/// Bytes of randomness an id is made from. Source: swarmkit `identity/randomid.go`.
pub const RANDOM_BYTES: usize = 17;

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Twenty-five characters of `[0-9a-z]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawId([u8; LEN]);

impl RawId {
    /// The lowest and the highest id, for ranges.
    pub const MIN: RawId = RawId([b'0'; LEN]);
    pub const MAX: RawId = RawId([b'z'; LEN]);

    /// The id made from `random`: the bytes with their first bit set, as one number in base 36, of
    /// which characters 2 to 26 are kept (the first carries little randomness).
    pub fn from_random(mut random: [u8; RANDOM_BYTES]) -> Self {
        random[0] |= 0x80;
        let mut digits = [b'0'; 27];
        for place in digits.iter_mut().rev() {
            *place = DIGITS[divide_by_36(&mut random)];
        }
        let mut id = [0; LEN];
        id.copy_from_slice(&digits[1..=LEN]);
        RawId(id)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Divides the big-endian number in place and returns the remainder.
fn divide_by_36(number: &mut [u8; RANDOM_BYTES]) -> usize {
    let mut rest = 0usize;
    for byte in number.iter_mut() {
        let value = rest * 256 + usize::from(*byte);
        *byte = (value / 36) as u8;
        rest = value % 36;
    }
    rest
}

/// The text is no object id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an object id")]
pub struct InvalidId(pub String);

impl FromStr for RawId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes: [u8; LEN] = text
            .as_bytes()
            .try_into()
            .map_err(|_| InvalidId(text.to_owned()))?;
        if bytes.iter().all(|b| DIGITS.contains(b)) {
            Ok(RawId(bytes))
        } else {
            Err(InvalidId(text.to_owned()))
        }
    }
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RawId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RawId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub RawId);

            impl $name {
                /// The characters.
                pub fn as_str(&self) -> &str {
                    self.0.as_str()
                }
            }

            impl From<RawId> for $name {
                fn from(raw: RawId) -> Self {
                    $name(raw)
                }
            }

            impl FromStr for $name {
                type Err = InvalidId;

                fn from_str(text: &str) -> Result<Self, InvalidId> {
                    text.parse().map($name)
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, concat!($word, ":{}"), self.0)
                }
            }
        )+
    };
}

kinds! {
    /// A swarm.
    ClusterId = "cluster",
    /// A node: also the common name of its certificate.
    NodeId = "node",
    /// A service.
    ServiceId = "service",
    /// A task.
    TaskId = "task",
    /// A swarm-scoped network.
    NetworkId = "network",
    /// What a container of a user was given on a network.
    AttachmentId = "attachment",
    /// A secret.
    SecretId = "secret",
    /// A config.
    ConfigId = "config",
}

/// The kinds of objects users name, as Docker's messages spell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Node,
    Service,
    Task,
    Network,
    Secret,
    Config,
    Volume,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Node => "node",
            Kind::Service => "service",
            Kind::Task => "task",
            Kind::Network => "network",
            Kind::Secret => "secret",
            Kind::Config => "config",
            Kind::Volume => "volume",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_number_in_base_36_without_its_first_character() {
        // 0x80 followed by zeros is 2^135 = 1jeo1e4cwx9c6thppjyoqlkhqx4 … in base 36: 27 digits.
        let id = RawId::from_random([0; RANDOM_BYTES]);
        let mut number = [0u8; RANDOM_BYTES];
        number[0] = 0x80;
        let mut digits = Vec::new();
        while number.iter().any(|b| *b != 0) {
            digits.push(DIGITS[divide_by_36(&mut number)] as char);
        }
        let text: String = digits.iter().rev().collect();
        assert_eq!(text.len(), 27);
        assert_eq!(id.as_str(), &text[1..26]);
    }

    #[test]
    fn an_id_has_twenty_five_characters_whatever_was_drawn() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let id = RawId::from_random([byte; RANDOM_BYTES]);
            assert_eq!(id.as_str().parse(), Ok(id));
        }
    }

    #[test]
    fn other_text_is_no_id() {
        for text in [
            "",
            "abc",
            "ABCDEFGHIJKLMNOPQRSTUVWXY",
            "0123456789012345678901234 ",
        ] {
            assert!(text.parse::<RawId>().is_err(), "{text}");
        }
    }
}
