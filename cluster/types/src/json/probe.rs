//! What Go would call the element type of a list or map, asked of the Rust type itself.
//!
//! Serde tells a deserializer that a list is wanted, but not of what. So the visitor of the list is
//! handed a [`Probe`] in place of the list, and the first thing it asks of that is the answer.

use super::go_types;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess};
use serde::de::{IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Asks a type what it wants to be read from: every method fails with the Go name of its type.
pub(super) struct Probe;

/// The error of a [`Probe`]: the name it was sent for.
#[derive(Debug)]
pub(super) struct Named(String);

/// The name of what a visitor asked its [`Probe`] for; Go's `any` if it asked for nothing.
pub(super) fn asked<T>(outcome: Result<T, Named>) -> String {
    match outcome {
        Ok(_) => "interface {}".to_owned(),
        Err(Named(name)) => name,
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Named {}

impl de::Error for Named {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Named("interface {}".to_owned())
    }
}

macro_rules! named {
    ($($method:ident = $go:literal),+ $(,)?) => {
        $(
            fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Named> {
                Err(Named($go.to_owned()))
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Named;

    named! {
        deserialize_any = "interface {}",
        deserialize_bool = "bool",
        deserialize_i8 = "int8",
        deserialize_i16 = "int16",
        deserialize_i32 = "int32",
        deserialize_i64 = "int64",
        deserialize_u8 = "uint8",
        deserialize_u16 = "uint16",
        deserialize_u32 = "uint32",
        deserialize_u64 = "uint64",
        deserialize_f32 = "float32",
        deserialize_f64 = "float64",
        deserialize_char = "string",
        deserialize_str = "string",
        deserialize_string = "string",
        deserialize_identifier = "string",
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Named> {
        let name = asked(visitor.visit_some(Probe));
        Err(Named(format!("*{name}")))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Named> {
        visitor.visit_newtype_struct(Probe)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Named> {
        let name = asked(visitor.visit_seq(Probe));
        Err(Named(format!("[]{name}")))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Named> {
        let name = asked(visitor.visit_map(Probe));
        Err(Named(format!("map[string]{name}")))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Named> {
        Err(Named(go_types::of_struct(name)))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Named> {
        Err(Named("string".to_owned()))
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

impl<'de> SeqAccess<'de> for Probe {
    type Error = Named;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Named> {
        seed.deserialize(Probe).map(Some)
    }
}

impl<'de> MapAccess<'de> for Probe {
    type Error = Named;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Named> {
        let key: StrDeserializer<'_, Named> = "".into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Named> {
        seed.deserialize(Probe)
    }
}
