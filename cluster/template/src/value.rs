//! What an expression can be.
//!
//! A short list, since a context holds only strings, one map and the records around them: there is no list type, because
//! nothing a template can reach makes a list. Strings are bytes, as Go's are: slicing may cut a character in two, and a
//! secret need not be text.

use std::collections::BTreeMap;
use std::rc::Rc;

/// A string that is cheap to pass on.
pub(crate) type Bytes = Rc<[u8]>;

/// The value of an expression. `Nil` is Go's invalid value: the literal `nil`, or the dot of `{{template "x"}}`.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    /// One byte of a string, by `index`. Go's `uint8`, which prints as a number.
    Byte(u8),
    Float(f64),
    Text(Bytes),
    Map(Rc<BTreeMap<Bytes, Bytes>>),
    Record(Rc<Record>),
}

/// A Go struct, or a pointer to one when its type's name starts with `*`.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) type_name: &'static str,
    pub(crate) private: &'static [&'static str],
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(crate) fn is_pointer(&self) -> bool {
        self.type_name.starts_with('*')
    }

    /// The name of the struct itself.
    pub(crate) fn target_name(&self) -> &'static str {
        self.type_name.trim_start_matches('*')
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value)
    }
}

impl Value {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().into())
    }

    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Text(bytes.into())
    }

    /// The type as Go's error texts name it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Map(_) => "map[string]string",
            Self::Record(record) => record.type_name,
        }
    }

    /// The type behind a pointer.
    pub(crate) fn target_name(&self) -> &'static str {
        self.type_name().trim_start_matches('*')
    }

    /// What `if` makes of it: empty and zero are false, records always true.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) => *number != 0,
            Self::Byte(byte) => *byte != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Record(_) => true,
        }
    }

    /// Roughly how many bytes a function looks at when given this.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Map(map) => map.iter().map(|(k, v)| k.len() + v.len()).sum(),
            Self::Record(record) => record.fields.iter().map(|(_, v)| v.weight()).sum(),
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Byte(_) | Self::Float(_) => 0,
        }
    }
}
