//! `eq`, `lt` and their kin. Only like is compared with like, and integers whatever their width.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::value::Value;

const BAD_TYPE: &str = "invalid type for comparison";

/// Whether `first` equals any of the others.
pub(super) fn equals_any(first: &Value, others: &[Value]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equals(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn equals(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (
            Value::Map(_) | Value::Record(_) | Value::Nil,
            Value::Map(_) | Value::Record(_) | Value::Nil,
        ) => equals_compound(a, b),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        _ => match order(a, b) {
            Some(order) => Ok(order == Some(Ordering::Equal)),
            None => Err(incompatible(a, b)),
        },
    }
}

/// Maps equal nothing but nil, records of one type field by field. An empty map counts as nil: that is how a service
/// without labels arrives.
fn equals_compound(a: &Value, b: &Value) -> Result<bool, String> {
    let is_nil = |value: &Value| match value {
        Value::Nil => true,
        Value::Map(map) => map.is_empty(),
        _ => false,
    };
    let kind = |value: &Value| match value {
        Value::Record(record) => 1 + u8::from(record.is_pointer()),
        _ => 0,
    };
    let has_nil = matches!(a, Value::Nil) || matches!(b, Value::Nil);
    if !has_nil && kind(a) != kind(b) {
        return Err(format!(
            "non-comparable types {}: {}, {}: {}",
            crate::print::display(a),
            a.type_name(),
            b.type_name(),
            crate::print::display(b)
        ));
    }
    if is_nil(a) || is_nil(b) {
        return Ok(is_nil(a) == is_nil(b));
    }
    match (a, b) {
        (Value::Record(a), Value::Record(b)) if a.is_pointer() => Ok(Rc::ptr_eq(a, b)),
        (Value::Record(left), Value::Record(right)) if !has_map(b) => {
            let same_type = left.type_name == right.type_name;
            let mut pairs = left.fields.iter().zip(&right.fields);
            Ok(same_type && pairs.all(|((_, left), (_, right))| equals(left, right) == Ok(true)))
        }
        _ => Err(format!(
            "non-comparable type {}: {}",
            crate::print::display(b),
            b.type_name()
        )),
    }
}

fn has_map(value: &Value) -> bool {
    match value {
        Value::Map(_) => true,
        Value::Record(record) => record.fields.iter().any(|(_, field)| has_map(field)),
        _ => false,
    }
}

pub(super) fn less(a: &Value, b: &Value) -> Result<bool, String> {
    let basic = |value: &Value| !matches!(value, Value::Nil | Value::Map(_) | Value::Record(_));
    if !basic(a) || !basic(b) {
        return Err(BAD_TYPE.to_owned());
    }
    match (a, b) {
        (Value::Bool(_), Value::Bool(_)) => Err(BAD_TYPE.to_owned()),
        _ => match order(a, b) {
            Some(order) => Ok(order == Some(Ordering::Less)),
            None => Err(incompatible(a, b)),
        },
    }
}

pub(super) fn less_or_equal(a: &Value, b: &Value) -> Result<bool, String> {
    Ok(less(a, b)? || equals(a, b)?)
}

/// The order of two values of one kind; nothing for two kinds. The inner option is that of floats.
fn order(a: &Value, b: &Value) -> Option<Option<Ordering>> {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => Some(a.partial_cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(Some(a.cmp(b))),
        _ => Some(Some(integer(a)?.cmp(&integer(b)?))),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Byte(byte) => Some(i64::from(*byte)),
        _ => None,
    }
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!(
        "incompatible types for comparison: {} and {}",
        a.type_name(),
        b.type_name()
    )
}
