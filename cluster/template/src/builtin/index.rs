//! `index`, `slice` and `len`. Strings are counted in bytes.

use crate::value::Value;

/// `of` indexed by each of `indexes` in turn. A key that a map lacks gives an empty text, not an error: `index` is the
/// way to ask for a label that may be missing.
pub(super) fn index(of: &Value, indexes: &[Value]) -> Result<Value, String> {
    if matches!(of, Value::Nil) {
        return Err("index of untyped nil".to_owned());
    }
    let mut item = of.clone();
    for index in indexes {
        item = match &item {
            Value::Text(text) => {
                let at = position(index, text.len())?;
                let byte = text.get(at).ok_or("reflect: string index out of range")?;
                Value::Byte(*byte)
            }
            Value::Map(map) => match index {
                Value::Text(key) => Value::Text(map.get(key).cloned().unwrap_or_default()),
                Value::Nil => return Err("value is nil; should be of type string".to_owned()),
                _ => {
                    return Err(format!(
                        "value has type {}; should be string",
                        index.type_name()
                    ));
                }
            },
            _ => return Err(format!("can't index item of type {}", item.target_name())),
        };
    }
    Ok(item)
}

/// `of[i:j]`; without them the whole.
pub(super) fn slice(of: &Value, indexes: &[Value]) -> Result<Value, String> {
    if matches!(of, Value::Nil) {
        return Err("slice of untyped nil".to_owned());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let Value::Text(text) = of else {
        return Err(format!("can't slice item of type {}", of.target_name()));
    };
    let (from, to) = match indexes {
        [] => (0, text.len()),
        [from] => (position(from, text.len())?, text.len()),
        [from, to] => (position(from, text.len())?, position(to, text.len())?),
        _ => return Err("cannot 3-index slice a string".to_owned()),
    };
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(Value::Text(text[from..to].into()))
}

pub(super) fn len(of: &Value) -> Result<Value, String> {
    let length = match of {
        Value::Text(text) => text.len(),
        Value::Map(map) => map.len(),
        // Go's reflection gives up on nil before its own text for it is reached.
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        _ => return Err(format!("len of type {}", of.target_name())),
    };
    i64::try_from(length)
        .map(Value::Int)
        .map_err(|error| error.to_string())
}

/// An index into `length` bytes; the length itself is allowed, as the end of a slice.
fn position(index: &Value, length: usize) -> Result<usize, String> {
    let wanted = match index {
        Value::Int(number) => *number,
        Value::Byte(byte) => i64::from(*byte),
        Value::Nil => return Err("cannot index slice/array with nil".to_owned()),
        _ => {
            let type_name = index.type_name();
            return Err(format!("cannot index slice/array with type {type_name}"));
        }
    };
    let within = usize::try_from(wanted)
        .ok()
        .filter(|wanted| *wanted <= length);
    within.ok_or_else(|| format!("index out of range: {wanted}"))
}
