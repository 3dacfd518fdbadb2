//! The ways in: a text, the templated fields of a spec, a payload.

use std::collections::BTreeMap;

use crate::builtin::Function;
use crate::context::Context;
use crate::error::Error;
use crate::eval::run;
use crate::parse::parse;
use crate::quote::quote;
use crate::sources::Sources;

/// A payload after expansion. It may hold a secret, hence no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Expanded {
    pub bytes: Vec<u8>,
    /// A secret went into it: it must be kept where secrets are kept, even if it is a config.
    pub used_secret: bool,
}

/// `text` with its `{{…}}` replaced. Where slicing has cut a character in two, the result has U+FFFD.
pub fn expand(text: &str, context: &Context) -> Result<String, Error> {
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let templates = parse(text.as_bytes(), &|name| {
        Function::named(name, false).is_some()
    })?;
    let outcome = run(text.as_bytes(), &templates, &context.for_spec(), None)?;
    Ok(String::from_utf8_lossy(&outcome.bytes).into_owned())
}

/// `NAME=value` entries with their values expanded; names, and entries without `=`, stay as they are.
pub fn expand_env(entries: &[String], context: &Context) -> Result<Vec<String>, Error> {
    let entry = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => match expand(value, context) {
            Ok(value) => Ok(format!("{name}={value}")),
            Err(error) => Err(error
                .within(format!("expanding env {}", quote(entry.as_bytes())))
                .within("expanding env failed")),
        },
        None => Ok(entry.clone()),
    };
    entries.iter().map(entry).collect()
}

/// A container's hostname.
pub fn expand_hostname(hostname: &str, context: &Context) -> Result<String, Error> {
    expand(hostname, context).map_err(|error| error.within("expanding hostname failed"))
}

/// A mount's source.
pub fn expand_mount_source(source: &str, context: &Context) -> Result<String, Error> {
    expand_mount_text("source", source, context)
}

/// A mount's target.
pub fn expand_mount_target(target: &str, context: &Context) -> Result<String, Error> {
    expand_mount_text("target", target, context)
}

/// The values of a volume mount's labels.
pub fn expand_volume_labels(
    labels: &BTreeMap<String, String>,
    context: &Context,
) -> Result<BTreeMap<String, String>, Error> {
    expand_values("expanding volume labels", labels, context)
}

/// The values of a volume mount's driver options.
pub fn expand_volume_options(
    options: &BTreeMap<String, String>,
    context: &Context,
) -> Result<BTreeMap<String, String>, Error> {
    expand_values("expanding volume driver config", options, context)
}

/// The payload of a secret or config whose templating driver is `golang`.
pub fn expand_payload(
    payload: &[u8],
    context: &Context,
    sources: &dyn Sources,
) -> Result<Expanded, Error> {
    let templates = parse(payload, &|name| Function::named(name, true).is_some())?;
    let outcome = run(payload, &templates, &context.for_payload(), Some(sources))?;
    Ok(Expanded {
        bytes: outcome.bytes,
        used_secret: outcome.used_secret,
    })
}

fn expand_mount_text(part: &str, text: &str, context: &Context) -> Result<String, Error> {
    expand(text, context).map_err(|error| {
        error
            .within(format!("expanding mount {part} {}", quote(text.as_bytes())))
            .within("expanding mounts failed")
    })
}

fn expand_values(
    what: &str,
    entries: &BTreeMap<String, String>,
    context: &Context,
) -> Result<BTreeMap<String, String>, Error> {
    let mut expanded = BTreeMap::new();
    for (key, value) in entries {
        let text = expand(value, context).map_err(|error| {
            let entry = format!("{}={}", quote(key.as_bytes()), quote(value.as_bytes()));
            error
                .within(format!("expanding map entry {entry}"))
                .within(what)
                .within("expanding mounts failed")
        })?;
        expanded.insert(key.clone(), text);
    }
    Ok(expanded)
}
