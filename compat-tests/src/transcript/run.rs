//! Running a scenario on one host.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::bytes::Regex;
use serde_json::Value;

use super::scenario::{Action, Scenario, Step};
use crate::http::Request;
use crate::testbed::IMAGE;
use crate::{Error, Host, wait};

const SETTLE: Duration = Duration::from_secs(60);

/// What a step led to, not masked yet.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Exit code of a command or status of a call; -1 if the step could not be carried out.
    pub status: i64,
    /// Standard output, or the body.
    pub output: String,
    /// Standard error; empty for calls.
    pub errors: String,
    /// Of a call that answered with a body.
    pub content_type: String,
}

/// Runs all steps in order. A step that fails is an outcome like any other: the next ones run all the same.
pub fn run(scenario: &Scenario, host: &Host) -> Vec<Outcome> {
    let mut saved = BTreeMap::from([
        ("image".to_owned(), IMAGE.to_owned()),
        ("address".to_owned(), host.address().to_owned()),
    ]);
    scenario
        .steps
        .iter()
        .map(|step| run_step(step, host, &mut saved))
        .collect()
}

fn run_step(step: &Step, host: &Host, saved: &mut BTreeMap<String, String>) -> Outcome {
    let mut latest = Outcome::default();
    let settled = wait::until(&step.title, SETTLE, || {
        latest = attempt(step, host, saved).unwrap_or_else(|error| Outcome {
            status: -1,
            errors: error.to_string(),
            ..Outcome::default()
        });
        lacks(step, &latest).map_or(Ok(()), Err)
    });
    if let Err(error) = settled {
        latest.errors.push_str(&format!("\n{error}"));
        latest.status = -1;
    }
    for (name, path) in &step.save {
        saved.insert(name.clone(), extract(&latest.output, path.as_deref()));
    }
    latest
}

/// What the outcome must still show before it is taken.
fn lacks(step: &Step, outcome: &Outcome) -> Option<String> {
    let shown = format!("{}{}", outcome.output, outcome.errors);
    if step.empty && !shown.is_empty() {
        return Some(format!("{shown:?} instead of nothing"));
    }
    let lacks = step.until.iter().find(|pattern| !found(pattern, &shown))?;
    Some(format!("no {lacks:?} in {shown:?}"))
}

/// Whether the pattern is in the text; `.` goes over line ends too. A pattern that cannot be read is never found.
fn found(pattern: &str, text: &str) -> bool {
    let pattern = Regex::new(&format!("(?s-u){pattern}"));
    pattern.is_ok_and(|pattern| pattern.is_match(text.as_bytes()))
}

fn attempt(step: &Step, host: &Host, saved: &BTreeMap<String, String>) -> Result<Outcome, Error> {
    let input = step.input.as_deref().map(|text| fill_in(text, saved));
    match &step.action {
        Some(Action::Docker(words)) => {
            let words: Vec<String> = words.iter().map(|word| fill_in(word, saved)).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let stdin = input.unwrap_or_default().into_bytes();
            let output = if step.terminal {
                host.docker_in_terminal(&words, &stdin)
            } else {
                host.docker_fed(&words, &stdin)
            }?;
            Ok(Outcome {
                status: output.status.into(),
                output: output.stdout,
                errors: output.stderr,
                ..Outcome::default()
            })
        }
        Some(Action::Api(method, target)) => {
            let target = encode(&fill_in(target, saved));
            call(host, method, &target, &step.headers, input.as_deref())
        }
        None => Ok(Outcome::default()),
    }
}

fn call(
    host: &Host,
    method: &str,
    target: &str,
    given: &[(String, String)],
    body: Option<&str>,
) -> Result<Outcome, Error> {
    let mut headers: Vec<(&str, &str)> = given
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    if headers.is_empty() && body.is_some() {
        headers.push(("Content-Type", "application/json"));
    }
    let response = host.send(&Request {
        method,
        target,
        headers: &headers,
        body: body.map(str::as_bytes),
    })?;
    Ok(Outcome {
        status: response.status.into(),
        output: response.text(),
        errors: String::new(),
        content_type: response
            .header("content-type")
            .unwrap_or_default()
            .to_owned(),
    })
}

fn fill_in(text: &str, saved: &BTreeMap<String, String>) -> String {
    saved.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("@{name}@"), value)
    })
}

fn encode(target: &str) -> String {
    let raw = |c: char| c.is_ascii_graphic() && !"\"{}[]<>|^`\\".contains(c);
    let mut encoded = String::with_capacity(target.len());
    for c in target.chars() {
        if raw(c) {
            encoded.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes)
                .bytes()
                .for_each(|byte| encoded.push_str(&format!("%{byte:02X}")));
        }
    }
    encoded
}

/// The value at `path` (`.0.Version.Index`) of JSON output, or the whole output without surrounding blanks.
fn extract(output: &str, path: Option<&str>) -> String {
    let Some(path) = path else {
        return output.trim().to_owned();
    };
    let parsed: Value = serde_json::from_str(output).unwrap_or_default();
    match parsed.pointer(&path.replace('.', "/")) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_value_is_found_by_its_path() {
        assert_eq!(
            extract(
                r#"[{"ID":"x","Version":{"Index":7}}]"#,
                Some(".0.Version.Index")
            ),
            "7"
        );
        assert_eq!(extract(" id \n", None), "id");
    }

    #[test]
    fn a_step_waits_for_its_patterns_in_either_stream() {
        let step = Step {
            until: vec!["one.*two".into(), "oops".into()],
            ..Step::default()
        };
        let outcome = |output: &str, errors: &str| Outcome {
            output: output.into(),
            errors: errors.into(),
            ..Outcome::default()
        };
        assert_eq!(lacks(&step, &outcome("one\n two", "oops")), None);
        assert!(lacks(&step, &outcome("two one", "oops")).is_some());
        let silent = Step {
            empty: true,
            ..Step::default()
        };
        assert!(
            lacks(&silent, &outcome("x", "")).is_some()
                && lacks(&silent, &outcome("", "")).is_none()
        );
    }

    #[test]
    fn json_in_a_target_is_encoded() {
        assert_eq!(
            encode(r#"/x?filters={"id":["a b"]}"#),
            "/x?filters=%7B%22id%22:%5B%22a%20b%22%5D%7D"
        );
    }
}
