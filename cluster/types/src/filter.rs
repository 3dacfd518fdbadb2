//! The `filters` query of list endpoints.
//!
//! Two encodings are in use: `{"label":{"a=b":true}}` and the older `{"label":["a=b"]}`. Within one
//! key a value that matches is enough, except for labels, which must all match. A key that is not
//! given matches everything.

use crate::fault::Fault;
use crate::json;
use std::collections::BTreeMap;

/// What a client asked a list to be narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Values>);

/// The values of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    /// Every value, with the boolean beside it (true in the list form).
    given: BTreeMap<String, bool>,
    /// The true ones.
    wanted: Vec<String>,
}

impl From<BTreeMap<String, bool>> for Values {
    fn from(given: BTreeMap<String, bool>) -> Self {
        let truths = given.iter().filter(|(_, is_true)| **is_true);
        let wanted = truths.map(|(value, _)| value.clone()).collect();
        Values { given, wanted }
    }
}

type MapForm = BTreeMap<String, BTreeMap<String, bool>>;
type ListForm = BTreeMap<String, Vec<String>>;

impl Filters {
    /// Reads the query's value; an empty one filters nothing.
    ///
    /// Anything that is neither form is refused with 400 `invalid filter`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Filters::default());
        }
        let bytes = text.as_bytes();
        let keys: MapForm = match json::from_slice::<MapForm>(bytes) {
            Ok(decoded) => decoded.value,
            Err(_) => from_lists(
                json::from_slice::<ListForm>(bytes)
                    .map_err(|_| Fault::invalid("invalid filter"))?
                    .value,
            ),
        };
        let keys = keys.into_iter().map(|(key, given)| (key, given.into()));
        Ok(Filters(keys.collect()))
    }

    /// Refuses keys outside `known` with 400 `invalid filter 'KEY'`, the first in byte order.
    pub fn accept(&self, known: &[&str]) -> Result<(), Fault> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => Err(Fault::invalid(format!("invalid filter '{key}'"))),
            None => Ok(()),
        }
    }

    /// Whether the key was given, even without a value.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values of a key that are not marked false, sorted.
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], |values| &values.wanted)
    }

    /// All values of a key, whatever the boolean beside them.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        let given = self.given(key).into_iter().flatten();
        given.map(|(value, _)| value.as_str())
    }

    /// Whether `value` is among the key's, or the key has none. A value marked false counts as a
    /// value, but matches nothing.
    pub fn exact(&self, key: &str, value: &str) -> bool {
        match self.given(key) {
            Some(given) => given.get(value).copied().unwrap_or(false),
            None => true,
        }
    }

    /// Whether `value` begins with one of the key's values, or the key has none. Docker's prefix
    /// match does not look at the booleans.
    pub fn any_prefix(&self, key: &str, value: &str) -> bool {
        match self.given(key) {
            Some(given) => given.keys().any(|prefix| value.starts_with(prefix)),
            None => true,
        }
    }

    /// Whether `labels` has all that the key asks for: `k` and `k=` that the label exists, `k=v`
    /// that it has this value. Docker's label match does not look at the booleans.
    pub fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        let Some(given) = self.given(key) else {
            return true;
        };
        given.keys().all(|wanted| {
            let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
            let found = labels.get(name);
            found.is_some_and(|found| value.is_empty() || found == value)
        })
    }

    /// The key's values if it has any.
    fn given(&self, key: &str) -> Option<&BTreeMap<String, bool>> {
        let given = &self.0.get(key)?.given;
        (!given.is_empty()).then_some(given)
    }
}

fn from_lists(lists: ListForm) -> MapForm {
    let all_true = |values: Vec<String>| values.into_iter().map(|value| (value, true)).collect();
    lists
        .into_iter()
        .map(|(key, values)| (key, all_true(values)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(text: &str) -> Filters {
        Filters::parse(text).unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        owned.collect()
    }

    #[test]
    fn both_encodings_mean_the_same() {
        let map = filters(r#"{"label":{"a=b":true,"c":true},"name":{"x":true}}"#);
        let list = filters(r#"{"label":["c","a=b","c"],"name":["x"]}"#);
        assert_eq!(map, list);
        assert_eq!(map.get("label"), ["a=b", "c"]);
        assert!(map.get("id").is_empty());
    }

    #[test]
    fn nothing_and_null_filter_nothing() {
        for text in ["", "{}", "null"] {
            assert_eq!(filters(text), Filters::default(), "{text}");
            assert!(filters(text).exact("name", "x"));
        }
        let empty = filters(r#"{"name":{},"id":{},"label":null}"#);
        assert!(empty.contains("name") && empty.contains("label"));
        assert!(empty.exact("name", "x") && empty.any_prefix("id", "x"));
        assert!(empty.labels("label", &labels(&[])));
    }

    #[test]
    fn other_text_is_an_invalid_filter() {
        let texts = [
            "x",
            "[]",
            "1",
            r#""a""#,
            r#"{"name":"x"}"#,
            r#"{"name":{"x":1}}"#,
            r#"{"name":[1]}"#,
            r#"{"name":["x"],"id":{"y":true}}"#,
            r#"{"name":["x"]"#,
            r#"{"name":["x"]} {}"#,
        ];
        for text in texts {
            assert_eq!(
                Filters::parse(text),
                Err(Fault::invalid("invalid filter")),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let given = filters(r#"{"name":["x"],"foo":["y"]}"#);
        assert_eq!(given.accept(&["name", "foo"]), Ok(()));
        let refused = Err(Fault::invalid("invalid filter 'foo'"));
        assert_eq!(given.accept(&["id", "name"]), refused);
    }

    #[test]
    fn a_value_marked_false_matches_nothing() {
        let given = filters(r#"{"name":{"x":false,"y":true}}"#);
        assert!(given.exact("name", "y"));
        assert!(!given.exact("name", "x"));
        assert!(!given.exact("name", "z"));
        assert_eq!(given.get("name"), ["y"]);
        assert!(!filters(r#"{"name":{"x":false}}"#).exact("name", "y"));
    }

    #[test]
    fn one_matching_prefix_is_enough() {
        let given = filters(r#"{"id":["ab","cd"]}"#);
        assert!(given.any_prefix("id", "abc"));
        assert!(given.any_prefix("id", "cd"));
        assert!(!given.any_prefix("id", "a"));
        assert!(given.any_prefix("name", "a"));
    }

    #[test]
    fn all_labels_must_match_and_an_empty_value_asks_for_existence() {
        let found = labels(&[("a", "1"), ("b", ""), ("c", "x=y")]);
        let yes = [
            "[\"a\"]",
            "[\"a=1\",\"b\"]",
            "[\"a=\"]",
            "[\"b=\"]",
            "[\"c=x=y\"]",
        ];
        for values in yes {
            let given = filters(&format!("{{\"label\":{values}}}"));
            assert!(given.labels("label", &found), "{values}");
        }
        let no = [
            "[\"d\"]",
            "[\"a=2\"]",
            "[\"a=1\",\"d=\"]",
            "[\"a=1\",\"a=2\"]",
            "[\"A\"]",
        ];
        for values in no {
            let given = filters(&format!("{{\"label\":{values}}}"));
            assert!(!given.labels("label", &found), "{values}");
        }
    }
}
