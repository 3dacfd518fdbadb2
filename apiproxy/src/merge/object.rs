//! A JSON object of which most passes as it came: keys in their order, values as their bytes.

use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use swarmrs_types::json;

/// The members of an object.
#[derive(Debug)]
pub(super) struct RawObject(Vec<(String, Box<RawValue>)>);

impl RawObject {
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    pub fn get(&self, key: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_ref())
    }

    /// Replaces a member where it stands, or adds it at the end.
    pub fn set<T: Serialize>(&mut self, key: &str, value: &T) {
        let mut text = json::to_vec(value);
        text.pop();
        let Ok(raw) = String::from_utf8(text).map(RawValue::from_string) else {
            return;
        };
        let Ok(raw) = raw else { return };
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, value)) => *value = raw,
            None => self.0.push((key.to_owned(), raw)),
        }
    }

    /// All members in their order.
    pub fn members(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// A member as what it is read as; none if it is not there, or is something else.
    pub fn read<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_str(self.get(key)?.get()).ok()
    }

    /// Changes a member that is an object, in its place.
    pub fn edit(&mut self, key: &str, change: impl FnOnce(&mut RawObject)) {
        let Some(mut member) = self.read::<RawObject>(key) else {
            return;
        };
        change(&mut member);
        self.set(key, &member);
    }

    /// Calls a member otherwise.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some((name, _)) = self.0.iter_mut().find(|(name, _)| name == from) {
            to.clone_into(name);
        }
    }

    /// Takes out a member.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| name != key);
    }

    /// The object with a line end, as the engine writes it.
    pub fn to_bytes(&self) -> Bytes {
        json::to_vec(self).into()
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = RawObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(RawObject(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_keeps_its_order_and_its_bytes() {
        let text = br#"{"Z":1.50,"Swarm":{"x":1},"A":[ 1, 2 ],"m":"\u003c"}"#;
        let mut object = RawObject::parse(text).unwrap();
        object.set("Swarm", &serde_json::json!({"y": "<"}));
        object.set("New", &1);
        let expected =
            "{\"Z\":1.50,\"Swarm\":{\"y\":\"<\"},\"A\":[ 1, 2 ],\"m\":\"\\u003c\",\"New\":1}\n";
        assert_eq!(object.to_bytes(), expected);
        assert_eq!(object.get("New").map(RawValue::get), Some("1"));
        assert!(object.get("Nothing").is_none());
    }

    #[test]
    fn members_are_changed_in_their_place() {
        let text = br#"{"b":{"y":1,"x":[ 2 ]},"a":3,"c":4}"#;
        let mut object = RawObject::parse(text).unwrap();
        object.edit("b", |inner| {
            inner.set("y", &5);
            inner.rename("x", "z");
        });
        object.edit("a", |_| panic!("no object"));
        object.edit("d", |_| panic!("not there"));
        object.remove("c");
        let names: Vec<&str> = object.members().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(object.read::<u64>("a"), Some(3));
        assert_eq!(object.to_bytes(), "{\"b\":{\"y\":5,\"z\":[ 2 ]},\"a\":3}\n");
    }

    #[test]
    fn only_objects_are_objects() {
        assert!(RawObject::parse(b"[1]").is_err());
    }
}
