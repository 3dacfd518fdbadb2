//! Runs a parsed template: nodes in order, each pipe to a value, values printed.
//!
//! It keeps, as Go does, the expression looked at last: errors name that one, which is not always the one a reader would
//! have picked. Nothing here can loop for ever or overflow the stack; see [`crate::limit`].

mod pipe;
mod walk;

use std::fmt::Display;
use std::mem;

use crate::error::Error;
use crate::limit::{Budget, Buffer, DEPTH};
use crate::sources::Sources;
use crate::tree::{MAIN, Templates};
use crate::value::Value;

/// What a run gave.
pub(crate) struct Outcome {
    pub(crate) bytes: Vec<u8>,
    pub(crate) used_secret: bool,
}

/// Runs the main template of `templates`, parsed from `input`, on `dot`. With `sources`, payload functions work too.
pub(crate) fn run(
    input: &[u8],
    templates: &Templates,
    dot: &Value,
    sources: Option<&dyn Sources>,
) -> Result<Outcome, Error> {
    let mut run = Run {
        input,
        templates,
        sources,
        template: MAIN,
        variables: vec![("$", dot.clone())],
        at: (0, &MAIN),
        out: Buffer::default(),
        budget: Budget::new(),
        depth: 0,
        used_secret: false,
    };
    if let Some(list) = templates.get(MAIN) {
        run.list(dot, list)?;
    }
    let out = mem::take(&mut run.out);
    let bytes = run.allow(out.finish())?;
    let used_secret = run.used_secret;
    Ok(Outcome { bytes, used_secret })
}

struct Run<'t> {
    input: &'t [u8],
    templates: &'t Templates,
    sources: Option<&'t dyn Sources>,
    /// The template that runs, for errors.
    template: &'t str,
    /// Innermost last; a name may occur more than once.
    variables: Vec<(&'t str, Value)>,
    /// The expression looked at last, and where it is in the input.
    at: (usize, &'t dyn Display),
    out: Buffer,
    budget: Budget,
    depth: usize,
    used_secret: bool,
}

type Ran<T> = Result<T, Error>;

impl<'t> Run<'t> {
    /// Notes the expression that errors will name, and pays for it.
    fn visit(&mut self, at: usize, expression: &'t dyn Display) -> Ran<()> {
        self.at = (at, expression);
        let paid = self.budget.step();
        self.allow(paid)
    }

    /// One level deeper for as long as `inner` runs.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Ran<T>) -> Ran<T> {
        if self.depth >= DEPTH {
            return self.fail(format!("exceeded maximum template depth ({DEPTH})"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn variable(&self, name: &str) -> Ran<&Value> {
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name);
        match found {
            Some((_, value)) => Ok(value),
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn assign(&mut self, name: &str, value: Value) -> Ran<()> {
        let found = self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name);
        match found {
            Some((_, slot)) => *slot = value,
            None => return self.fail(format!("undefined variable: {name}")),
        }
        Ok(())
    }

    /// A value inside of an error text. Errors end up in task states and logs, so once a secret was read they name only
    /// the type; Go prints the value.
    fn shown(&self, value: &Value) -> String {
        if self.used_secret {
            return format!("a value of type {}", value.type_name());
        }
        crate::print::display(value)
    }

    /// Turns a reason into an error at the expression looked at last.
    fn allow<T>(&self, result: Result<T, String>) -> Ran<T> {
        result.or_else(|reason| self.fail(reason))
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Ran<T> {
        let (at, expression) = self.at;
        let before = &self.input[..at];
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        Err(Error::Execute {
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            column: at - line_start,
            template: self.template.to_owned(),
            at: expression.to_string(),
            reason: reason.into(),
        })
    }
}
