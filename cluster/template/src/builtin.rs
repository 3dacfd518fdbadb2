//! The functions: Go's own, swarm's `join`, and a payload's `secret`, `config` and `env`.

mod compare;
mod escape;
mod index;

use crate::print;
use crate::value::Value;

/// A function by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    And,
    Call,
    Config,
    Env,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Join,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Secret,
    Slice,
    UrlQuery,
}

/// What a function takes in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Any,
    Text,
}

impl Function {
    /// The function a name stands for; the sources only in payloads.
    pub(crate) fn named(name: &str, in_payload: bool) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "config" if in_payload => Self::Config,
            "env" if in_payload => Self::Env,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "html" => Self::Html,
            "index" => Self::Index,
            "join" => Self::Join,
            "js" => Self::Js,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "secret" if in_payload => Self::Secret,
            "slice" => Self::Slice,
            "urlquery" => Self::UrlQuery,
            _ => return None,
        })
    }

    /// How many arguments it needs, and whether more may follow.
    fn arity(self) -> (usize, bool) {
        match self {
            Self::Join | Self::Print | Self::Println | Self::Html | Self::Js | Self::UrlQuery => {
                (0, true)
            }
            Self::And
            | Self::Or
            | Self::Call
            | Self::Eq
            | Self::Index
            | Self::Slice
            | Self::Printf => (1, true),
            Self::Len | Self::Not | Self::Secret | Self::Config | Self::Env => (1, false),
            Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => (2, false),
        }
    }

    /// Refuses a wrong number of arguments: `written` without the value from the pipe, `count` with it.
    pub(crate) fn accept(self, name: &str, written: usize, count: usize) -> Result<(), String> {
        match self.arity() {
            (least, true) if count < least => Err(format!(
                "wrong number of args for {name}: want at least {least} got {written}"
            )),
            (exact, false) if count != exact => Err(format!(
                "wrong number of args for {name}: want {exact} got {count}"
            )),
            _ => Ok(()),
        }
    }

    /// What the argument at `index` must be.
    pub(crate) fn parameter(self, index: usize) -> Parameter {
        match self {
            Self::Join | Self::Secret | Self::Config | Self::Env => Parameter::Text,
            Self::Printf if index == 0 => Parameter::Text,
            _ => Parameter::Any,
        }
    }
}

/// The value of a function on checked arguments. Those that need more than their arguments are not handled here.
pub(crate) fn apply(function: Function, arguments: &[Value]) -> Result<Value, String> {
    match (function, arguments) {
        (Function::Eq, [first, others @ ..]) => compare::equals_any(first, others).map(Value::Bool),
        (Function::Ne, [a, b]) => Ok(Value::Bool(!compare::equals(a, b)?)),
        (Function::Lt, [a, b]) => compare::less(a, b).map(Value::Bool),
        (Function::Le, [a, b]) => compare::less_or_equal(a, b).map(Value::Bool),
        (Function::Gt, [a, b]) => Ok(Value::Bool(!compare::less_or_equal(a, b)?)),
        (Function::Ge, [a, b]) => Ok(Value::Bool(!compare::less(a, b)?)),
        (Function::Not, [value]) => Ok(Value::Bool(!value.is_true())),
        (Function::Index, [of, indexes @ ..]) => index::index(of, indexes),
        (Function::Slice, [of, indexes @ ..]) => index::slice(of, indexes),
        (Function::Len, [of]) => index::len(of),
        (Function::Join, texts) => join(texts),
        (Function::Print, values) => print::sprint(values).map(Value::bytes),
        (Function::Println, values) => print::sprintln(values).map(Value::bytes),
        (Function::Printf, [Value::Text(format), values @ ..]) => {
            print::sprintf(format, values).map(Value::bytes)
        }
        (Function::Html, values) => escape::html(&print::sprint_arguments(values)?),
        (Function::Js, values) => escape::js(&print::sprint_arguments(values)?),
        (Function::UrlQuery, values) => escape::url_query(&print::sprint_arguments(values)?),
        _ => Err("wrong arguments".to_owned()),
    }
}

/// `join sep a b …`. Docker's function slices its arguments blindly, hence the text for none at all.
fn join(texts: &[Value]) -> Result<Value, String> {
    let parts: Vec<&[u8]> = texts
        .iter()
        .map(|value| match value {
            Value::Text(text) => &**text,
            _ => b"".as_slice(),
        })
        .collect();
    let [separator, parts @ ..] = parts.as_slice() else {
        return Err("runtime error: slice bounds out of range [1:0]".to_owned());
    };
    let length = parts
        .iter()
        .map(|part| part.len() + separator.len())
        .sum::<usize>();
    if length > crate::limit::OUTPUT {
        return Err(crate::limit::too_long());
    }
    Ok(Value::bytes(parts.join(*separator)))
}
