//! The configuration file: a JSON object whose keys are the long names of options, read as further arguments.
//!
//! There is no second list of options: a key is looked up among those that the command line knows, its value must have that
//! option's type, and what remains is parsed as if it stood on the command line. Keys that nobody knows, and keys that the
//! command line has used already, are errors in dockerd's words.

use std::any::TypeId;
use std::ffi::OsString;
use std::io;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

/// Options that choose or check the file, or end the program, are not for the file.
const COMMAND_LINE_ONLY: [&str; 4] = ["config_file", "validate", "version", "help"];

/// What is wrong with the file. The texts are dockerd's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    Read(#[source] io::Error),
    #[error("not a JSON object: {0}")]
    Json(#[source] serde_json::Error),
    #[error("the following directives don't match any configuration option: {}", .0.join(", "))]
    Unknown(Vec<String>),
    #[error(
        "the following directives are specified both as a flag and in the configuration file: {}",
        .0.join(", ")
    )]
    Conflict(Vec<String>),
    #[error("json: cannot unmarshal {found} into Go struct field Config.{key} of type {expected}")]
    Type {
        key: String,
        found: &'static str,
        expected: &'static str,
    },
    #[error("{0}")]
    Value(String),
}

/// The arguments that a file stands for, beside those already given.
///
/// # Errors
/// If a key or a value is wrong, or a key was given as a flag too.
pub(super) fn arguments(
    command: &Command,
    given: &ArgMatches,
    text: &str,
) -> Result<Vec<OsString>, FileError> {
    // Editors of other systems leave a mark at the front, and an empty file says nothing.
    let text = text.trim_start_matches('\u{feff}').trim();
    let entries: Map<String, Value> = match text {
        "" => Map::new(),
        text => serde_json::from_str(text).map_err(FileError::Json)?,
    };
    let (mut unknown, mut conflicts, mut known) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in &entries {
        match option(command, key) {
            None => unknown.push(key.clone()),
            Some(option) => match flag(given, option) {
                Some(flag) => conflicts.push(format!(
                    "{key}: (from flag: {flag}, from file: {})",
                    shown(value)
                )),
                None => known.push((key, option, value)),
            },
        }
    }
    if !unknown.is_empty() {
        return Err(FileError::Unknown(unknown));
    }
    if !conflicts.is_empty() {
        return Err(FileError::Conflict(conflicts));
    }
    let words = known
        .into_iter()
        .map(|(key, option, value)| words(key, option, value));
    Ok(words.collect::<Result<Vec<_>, _>>()?.concat())
}

/// The option of a key: `data-root` is `data_root`, and `hosts`, as in dockerd, is what `--host` adds to.
fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    let mut options = command.get_arguments();
    let found = options.find(|option| option.get_id().as_str().replace('_', "-") == key)?;
    let id = found.get_id().as_str();
    (!COMMAND_LINE_ONLY.contains(&id)).then_some(found)
}

/// What the command line says of an option, if it says something.
fn flag(given: &ArgMatches, option: &Arg) -> Option<String> {
    let id = option.get_id().as_str();
    if given.value_source(id) != Some(ValueSource::CommandLine) {
        return None;
    }
    let values = given.get_raw(id)?.map(|value| value.to_string_lossy());
    let text = values.collect::<Vec<_>>().join(" ");
    Some(match is_list(option) {
        true => format!("[{text}]"),
        false => text,
    })
}

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        other => other.to_string(),
    }
}

/// The words that say the same on the command line. As in Go, `null` says nothing.
fn words(key: &str, option: &Arg, value: &Value) -> Result<Vec<OsString>, FileError> {
    let wrong = |value, expected| FileError::Type {
        key: key.to_owned(),
        found: kind(value),
        expected,
    };
    let long = option.get_long().unwrap_or_default();
    let word = |text: &str| OsString::from(format!("--{long}={text}"));
    let switch = option.get_value_parser().type_id() == TypeId::of::<bool>();
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Bool(on) if switch => Ok(vec![word(&on.to_string())]),
        other if switch => Err(wrong(other, "bool")),
        Value::Array(items) if is_list(option) => {
            let texts = items.iter().map(|item| match item {
                Value::String(text) => Ok(word(text)),
                other => Err(wrong(other, "string")),
            });
            texts.collect()
        }
        other if is_list(option) => Err(wrong(other, "[]string")),
        Value::String(text) => Ok(vec![word(text)]),
        other => Err(wrong(other, "string")),
    }
}

/// The kind of a value, as Go's decoder names it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
