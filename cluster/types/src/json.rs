//! JSON as Go's `encoding/json` reads and writes it.
//!
//! Requests reach Docker through Go's decoder, and clients lean on its habits: keys match without
//! case, `null` leaves the zero value, unknown keys are ignored, invalid UTF-8 is replaced, and
//! what is wrong is said in its words. [`from_slice`] does the same for any `Deserialize` type.
//!
//! ```text
//!   bytes ──Parser──▶ Node ──Reader (a serde Deserializer)──▶ T, and the paths of unknown keys
//! ```
//!
//! Type errors name Go's types. Serde's hints tell most of them (`String` asks for a string); what
//! they cannot tell stands in the short tables of `go_types`.

mod access;
mod fields;
mod go_types;
mod node;
mod parse;
mod place;
mod probe;
mod reader;
#[cfg(test)]
mod tests;
mod write;

use self::parse::Parser;
use self::place::Place;
use self::reader::Reader;
use self::write::GoFormatter;
use serde::Serialize;
use serde::de::{self, DeserializeOwned};
use std::cell::RefCell;
use std::fmt;

/// How deep values may nest. Go allows 10,000; this much fits any thread's stack, and no request of
/// the API comes near.
pub const MAX_DEPTH: usize = 128;

/// A decoded value and what of the text it does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<T> {
    pub value: T,
    /// Dotted paths of ignored keys (`TaskTemplate.ContainerSpec.Foo`, `Mounts[0].X`): parents as
    /// the type spells them, the key as the user did. A key whose value is `null` is left out.
    pub unknown: Vec<String>,
}

/// Why a text was refused. All but [`Error::Trailing`] display as what Docker prints after
/// `invalid JSON: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No value at all: an empty or blank text.
    #[error("got EOF while reading request body")]
    Eof,
    /// The text ends inside the value.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// The text is not JSON; Go's sentence.
    #[error("{0}")]
    Syntax(String),
    /// A value of another type than the one that stands in its place; Go's sentence.
    #[error("{0}")]
    Type(String),
    /// The type refused the value for a reason of its own.
    #[error("{0}")]
    Value(String),
    /// More follows the value. Docker says this without the prefix.
    #[error("unexpected content after JSON")]
    Trailing,
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error::Value(message.to_string())
    }
}

/// Decodes one value as dockerd decodes a request's body.
///
/// Of a key given twice the last scalar or list wins, and objects are laid together, as in Go. What
/// follows the value is an error unless it begins with a closing bracket, which dockerd does not
/// see either.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<Decoded<T>, Error> {
    let mut parser = Parser::new(bytes);
    let node = parser.document()?;
    let unknown = RefCell::new(Vec::new());
    let value = T::deserialize(Reader {
        node,
        place: &Place::Root,
        unknown: &unknown,
    })?;
    if parser.has_more() {
        return Err(Error::Trailing);
    }
    Ok(Decoded {
        value,
        unknown: unknown.into_inner(),
    })
}

/// Encodes as dockerd answers: compact, HTML characters as they are, one newline at the end.
///
/// # Panics
/// If the type cannot be JSON (a map whose keys are no text): a bug of the type.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, GoFormatter);
    value
        .serialize(&mut serializer)
        .expect("a type of the API serialises to JSON");
    out.push(b'\n');
    out
}
