//! How an object becomes a struct: which key is which field, and which is none.

use super::Error;
use super::node::Node;
use super::place::{Place, joined};
use super::reader::Reader;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess};
use std::cell::RefCell;
use std::collections::VecDeque;

/// The members of an object read as a struct.
pub(super) struct Fields<'a, 'p> {
    members: VecDeque<(&'static str, Node<'a>)>,
    current: Option<(&'static str, Node<'a>)>,
    owner: &'static str,
    place: &'p Place<'p>,
    unknown: &'p RefCell<Vec<String>>,
}

impl<'a, 'p> Fields<'a, 'p> {
    /// For the struct `owner` with these `fields`; keys that are none of them are noted as unknown.
    pub(super) fn new(
        owner: &'static str,
        fields: &'static [&'static str],
        members: Vec<(String, Node<'a>)>,
        place: &'p Place<'p>,
        unknown: &'p RefCell<Vec<String>>,
    ) -> Self {
        Fields {
            members: known(fields, members, place, unknown),
            current: None,
            owner,
            place,
            unknown,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.members.pop_front();
        match &self.current {
            Some((key, _)) => {
                let key: StrDeserializer<'_, Error> = (*key).into_deserializer();
                seed.deserialize(key).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (key, node) = self.current.take().unwrap_or(("", Node::Null));
        let place = Place::Field {
            parent: self.place,
            owner: self.owner,
            key,
        };
        seed.deserialize(Reader {
            node,
            place: &place,
            unknown: self.unknown,
        })
    }
}

/// The members of an object that `fields` knows, under their exact names; the others are noted.
///
/// A `null` says nothing: a known field keeps its value, and an unknown key, which newer clients
/// send for what they leave unset, is not worth a note.
fn known<'a>(
    fields: &'static [&'static str],
    members: Vec<(String, Node<'a>)>,
    place: &Place<'_>,
    unknown: &RefCell<Vec<String>>,
) -> VecDeque<(&'static str, Node<'a>)> {
    let mut known: VecDeque<(&'static str, Node<'a>)> = VecDeque::new();
    for (key, node) in members {
        if matches!(node, Node::Null) {
            continue;
        }
        let Some(field) = field_named(&key, fields) else {
            unknown.borrow_mut().push(joined(place.path(), &key));
            continue;
        };
        match known.iter_mut().find(|member| member.0 == field) {
            Some(earlier) => earlier.1.overlay(node),
            None => known.push_back((field, node)),
        }
    }
    known
}

/// Exactly, else without case.
fn field_named(key: &str, fields: &'static [&'static str]) -> Option<&'static str> {
    let exact = fields.iter().find(|field| **field == key);
    let folded = || fields.iter().find(|field| same_folded(key, field));
    exact.or_else(folded).copied()
}

/// Go's folding where one side is ASCII: case, and the two other letters that fold to it (the
/// Kelvin sign and the long s).
pub(super) fn same_folded(key: &str, field: &str) -> bool {
    let fold = |c: char| match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        _ => c.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(field.chars().map(fold))
}
