//! How arrays and maps are read: one element, one entry at a time, each knowing its place.

use super::Error;
use super::node::Node;
use super::place::Place;
use super::reader::Reader;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};
use std::cell::RefCell;

/// The elements of an array.
pub(super) struct Items<'a, 'p> {
    items: std::iter::Enumerate<std::vec::IntoIter<Node<'a>>>,
    place: &'p Place<'p>,
    unknown: &'p RefCell<Vec<String>>,
}

impl<'a, 'p> Items<'a, 'p> {
    pub(super) fn new(
        items: Vec<Node<'a>>,
        place: &'p Place<'p>,
        unknown: &'p RefCell<Vec<String>>,
    ) -> Self {
        Items {
            items: items.into_iter().enumerate(),
            place,
            unknown,
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let place = Place::Index {
            parent: self.place,
            index,
        };
        let reader = Reader {
            node,
            place: &place,
            unknown: self.unknown,
        };
        seed.deserialize(reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The members of an object read as a map: keys as they are, all of them.
pub(super) struct Entries<'a, 'p> {
    members: std::vec::IntoIter<(String, Node<'a>)>,
    current: Option<(String, Node<'a>)>,
    place: &'p Place<'p>,
    unknown: &'p RefCell<Vec<String>>,
}

impl<'a, 'p> Entries<'a, 'p> {
    pub(super) fn new(
        members: Vec<(String, Node<'a>)>,
        place: &'p Place<'p>,
        unknown: &'p RefCell<Vec<String>>,
    ) -> Self {
        Entries {
            members: members.into_iter(),
            current: None,
            place,
            unknown,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.current = self.members.next();
        let Some((key, _)) = &self.current else {
            return Ok(None);
        };
        let reader = Reader {
            node: Node::Text(key.clone()),
            place: self.place,
            unknown: self.unknown,
        };
        seed.deserialize(reader).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let (key, node) = self.current.take().unwrap_or((String::new(), Node::Null));
        let place = Place::Key {
            parent: self.place,
            key: &key,
        };
        seed.deserialize(Reader {
            node,
            place: &place,
            unknown: self.unknown,
        })
    }
}
