//! Reading the engine's JSON without a model of it: a field that is absent, null or of another type is simply not there.
//!
//! Engines from 20.10 on differ in what they leave out; nothing that we do not decide by may make an answer unreadable.

use std::collections::BTreeMap;

use serde_json::Value;

/// The text at a JSON pointer, empty where there is none.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn number(value: &Value, pointer: &str) -> i64 {
    value
        .pointer(pointer)
        .and_then(Value::as_i64)
        .unwrap_or_default()
}

pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

pub(crate) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let items = value.pointer(pointer).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn map(value: &Value, pointer: &str) -> BTreeMap<String, String> {
    let entries = value.pointer(pointer).and_then(Value::as_object);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}

/// A time as the engine writes it. Go's zero time means "has not happened".
pub(crate) fn moment(value: &Value, pointer: &str) -> Option<String> {
    let moment = text(value, pointer);
    (!moment.is_empty() && !moment.starts_with("0001-01-01T00:00:00")).then_some(moment)
}

/// The array that a list call answers. Go writes an empty list as `null` now and then.
pub(crate) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}
