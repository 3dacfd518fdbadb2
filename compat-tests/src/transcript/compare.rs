//! Laying two outcomes of one step side by side.

use serde_json::Value;

use super::mask;
use super::run::Outcome;
use super::scenario::Step;

/// One place where two outcomes differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The step's title.
    pub step: String,
    /// `status`, `content type`, `errors`, `output:LINE` or, for JSON, `output.Spec.Labels`.
    pub at: String,
    pub reference: String,
    pub ours: String,
}

/// All differences between two outcomes of `step`, masked.
pub fn compare(step: &Step, reference: &Outcome, ours: &Outcome) -> Vec<Delta> {
    let mut found = Found {
        step: &step.title,
        deltas: Vec::new(),
    };
    found.note(
        "status",
        &reference.status.to_string(),
        &ours.status.to_string(),
    );
    if reference.status < 0 && ours.status < 0 {
        // Two sides that wait for the same in vain show nothing.
        found.note("status", "carried out", "not carried out, on either side");
    }
    found.note("content type", &reference.content_type, &ours.content_type);
    found.note(
        "errors",
        &mask::lines(&reference.errors).join("\n"),
        &mask::lines(&ours.errors).join("\n"),
    );
    match (json_of(&reference.output), json_of(&ours.output)) {
        (Some(reference), Some(ours)) => found.json("output", Some(&reference), Some(&ours)),
        _ => found.lines(step, &reference.output, &ours.output),
    }
    found.deltas
}

fn json_of(output: &str) -> Option<Value> {
    if !output.starts_with(['{', '[', '"']) {
        return None;
    }
    let mut value = serde_json::from_str(output).ok()?;
    mask::json(&mut value);
    Some(value)
}

struct Found<'a> {
    step: &'a str,
    deltas: Vec<Delta>,
}

impl Found<'_> {
    fn note(&mut self, at: &str, reference: &str, ours: &str) {
        if reference != ours {
            let (at, reference, ours) = (at.to_owned(), reference.to_owned(), ours.to_owned());
            self.deltas.push(Delta {
                step: self.step.to_owned(),
                at,
                reference,
                ours,
            });
        }
    }

    fn lines(&mut self, step: &Step, reference: &str, ours: &str) {
        let tail = |raw: &str| {
            let mut lines = mask::lines(raw);
            lines.retain(|line| !step.without.iter().any(|text| line.contains(text)));
            if step.unordered {
                lines.sort();
            }
            let skip = lines.len().saturating_sub(step.last.unwrap_or(usize::MAX));
            lines.into_iter().skip(skip).collect::<Vec<_>>()
        };
        let (reference, ours) = (tail(reference), tail(ours));
        for at in 0..reference.len().max(ours.len()) {
            let line = |lines: &[String]| {
                lines
                    .get(at)
                    .cloned()
                    .unwrap_or_else(|| "(no line)".to_owned())
            };
            self.note(
                &format!("output:{}", at + 1),
                &line(&reference),
                &line(&ours),
            );
        }
    }

    /// Goes down both values together, so that a difference is named by its own path.
    fn json(&mut self, path: &str, reference: Option<&Value>, ours: Option<&Value>) {
        match (reference, ours) {
            (Some(Value::Object(reference)), Some(Value::Object(ours))) => {
                let mut keys: Vec<&String> = reference.keys().chain(ours.keys()).collect();
                keys.sort();
                keys.dedup();
                for key in keys {
                    self.json(&format!("{path}.{key}"), reference.get(key), ours.get(key));
                }
            }
            (Some(Value::Array(reference)), Some(Value::Array(ours))) => {
                for at in 0..reference.len().max(ours.len()) {
                    self.json(&format!("{path}.{at}"), reference.get(at), ours.get(at));
                }
            }
            (reference, ours) => {
                let show = |value: Option<&Value>| {
                    value.map_or_else(|| "(absent)".to_owned(), Value::to_string)
                };
                self.note(path, &show(reference), &show(ours));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deltas(reference: &str, ours: &str) -> Vec<(String, String, String)> {
        deltas_of(&Step::default(), reference, ours)
    }

    fn deltas_of(step: &Step, reference: &str, ours: &str) -> Vec<(String, String, String)> {
        let outcome = |output: &str| Outcome {
            output: output.to_owned(),
            ..Outcome::default()
        };
        let deltas = compare(step, &outcome(reference), &outcome(ours));
        deltas
            .into_iter()
            .map(|delta| (delta.at, delta.reference, delta.ours))
            .collect()
    }

    #[test]
    fn a_missing_name_and_a_wrong_type_are_named_by_their_path() {
        let found = deltas(r#"{"A":{"B":1},"C":[]}"#, r#"{"A":{"B":"1"}}"#);
        let expected = [("output.A.B", "1", "\"1\""), ("output.C", "[]", "(absent)")];
        assert_eq!(
            found,
            expected.map(|(at, reference, ours)| (at.into(), reference.into(), ours.into()))
        );
    }

    #[test]
    fn lines_are_compared_one_by_one() {
        let found = deltas("one\ntwo\n", "one\n");
        assert_eq!(
            found,
            [("output:2".into(), "two".into(), "(no line)".into())]
        );
    }

    #[test]
    fn a_step_that_neither_side_carries_out_is_a_difference() {
        let vain = Outcome {
            status: -1,
            ..Outcome::default()
        };
        let found = compare(&Step::default(), &vain, &vain);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].at, "status");
    }

    #[test]
    fn lines_that_a_step_leaves_out_are_not_compared() {
        let step = Step {
            without: vec!["bridge0".into()],
            ..Step::default()
        };
        assert_eq!(deltas_of(&step, "one\nbridge0\ntwo\n", "one\ntwo\n"), []);
        assert_ne!(deltas_of(&step, "one\nbridge1\ntwo\n", "one\ntwo\n"), []);
    }
}
