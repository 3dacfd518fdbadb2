//! The serde deserializer over one [`Node`], with Go's judgement of what fits where.
//!
//! `null` gives every type its zero value. A value of the wrong kind is refused in Go's sentence,
//! which names the place and the Go type that stands there.

use super::Error;
use super::access::{Entries, Items};
use super::fields::Fields;
use super::go_types;
use super::node::Node;
use super::place::Place;
use super::probe::{self, Probe};
use serde::de::value::{MapAccessDeserializer, StringDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;

/// A serde deserializer over one node.
pub(super) struct Reader<'a, 'p> {
    pub(super) node: Node<'a>,
    pub(super) place: &'p Place<'p>,
    pub(super) unknown: &'p RefCell<Vec<String>>,
}

impl<'a> Reader<'a, '_> {
    /// Go's sentence for a `value` (`number`, `number 1.5`) where `hint` is wanted.
    fn mismatch(&self, value: &str, hint: &str) -> Error {
        let wanted = self.place.go_type().unwrap_or(hint);
        let target = match self.place.owner() {
            Some(owner) => {
                let owner = go_types::of_struct(owner);
                let name = owner.rsplit('.').next().unwrap_or_default();
                format!("struct field {name}.{}", self.place.fields())
            }
            None => "value".to_owned(),
        };
        Error::Type(format!(
            "json: cannot unmarshal {value} into Go {target} of type {wanted}"
        ))
    }

    fn wrong_kind(&self, hint: &str) -> Error {
        self.mismatch(self.node.kind(), hint)
    }
}

/// Methods for numbers: a literal that Rust's parser of the type refuses is refused by Go's too.
/// The condition is for floats: Rust reads `1e999` as infinity, Go refuses it.
macro_rules! numbers {
    ($($method:ident $visit:ident $number:ty = $go:literal $(if $valid:path)?),+ $(,)?) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
                match self.node {
                    Node::Null => visitor.$visit(<$number>::default()),
                    Node::Number(text) => {
                        let number = text.parse::<$number>().ok();
                        $(let number = number.filter(|n| $valid(*n));)?
                        match number {
                            Some(number) => visitor.$visit(number),
                            None => Err(self.mismatch(&format!("number {text}"), $go)),
                        }
                    }
                    _ => Err(self.wrong_kind($go)),
                }
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(value),
            Node::Text(text) => visitor.visit_string(text),
            Node::Number(text) => visit_any_number(text, visitor)
                .unwrap_or_else(|| Err(self.mismatch(&format!("number {text}"), "float64"))),
            Node::List(_) => self.deserialize_seq(visitor),
            Node::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Null => visitor.visit_bool(false),
            Node::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.wrong_kind("bool")),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 i8 = "int8",
        deserialize_i16 visit_i16 i16 = "int16",
        deserialize_i32 visit_i32 i32 = "int32",
        deserialize_i64 visit_i64 i64 = "int64",
        deserialize_u8 visit_u8 u8 = "uint8",
        deserialize_u16 visit_u16 u16 = "uint16",
        deserialize_u32 visit_u32 u32 = "uint32",
        deserialize_u64 visit_u64 u64 = "uint64",
        deserialize_f32 visit_f32 f32 = "float32" if f32::is_finite,
        deserialize_f64 visit_f64 f64 = "float64" if f64::is_finite,
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Null => visitor.visit_str(""),
            Node::Text(text) => visitor.visit_string(text),
            _ => Err(self.wrong_kind("string")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items = match self.node {
            Node::Null => Vec::new(),
            Node::List(items) => items,
            _ => {
                let name = probe::asked(visitor.visit_seq(Probe));
                return Err(self.wrong_kind(&format!("[]{name}")));
            }
        };
        visitor.visit_seq(Items::new(items, self.place, self.unknown))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let members = match self.node {
            Node::Null => Vec::new(),
            Node::Object(members) => members,
            _ => {
                let name = probe::asked(visitor.visit_map(Probe));
                return Err(self.wrong_kind(&format!("map[string]{name}")));
            }
        };
        visitor.visit_map(Entries::new(members, self.place, self.unknown))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let members = match std::mem::replace(&mut self.node, Node::Null) {
            Node::Null => Vec::new(),
            Node::Object(members) => members,
            other => return Err(self.mismatch(other.kind(), &go_types::of_struct(name))),
        };
        visitor.visit_map(Fields::new(name, fields, members, self.place, self.unknown))
    }

    /// A word, or an object whose one key is the variant.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.node {
            Node::Null => visitor.visit_enum(word(String::new())),
            Node::Text(text) => visitor.visit_enum(word(text)),
            Node::Object(members) => visitor.visit_enum(MapAccessDeserializer::new(Entries::new(
                members,
                self.place,
                self.unknown,
            ))),
            _ => Err(self.wrong_kind("string")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
}

fn word(text: String) -> StringDeserializer<Error> {
    text.into_deserializer()
}

/// A number for a type that takes any: whole if it can be, `None` if it is out of range.
fn visit_any_number<'de, V: Visitor<'de>>(
    text: &str,
    visitor: V,
) -> Option<Result<V::Value, Error>> {
    if let Ok(number) = text.parse::<u64>() {
        return Some(visitor.visit_u64(number));
    }
    // `-0` is a float: as an integer its sign would be lost.
    if let Ok(number @ ..0) = text.parse::<i64>() {
        return Some(visitor.visit_i64(number));
    }
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    Some(visitor.visit_f64(number))
}
