//! Why a text could not be expanded, worded as Docker words it.
//!
//! The texts reach users twice: as the refusal of `service create` and as the error of a task. Scripts match on them, so
//! they follow Go's `text/template` letter for letter, down to its habit of counting lines from 1 and columns from 0.

/// A template that does not parse, does not run, or the field of a spec that holds one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a template.
    #[error("template: expansion:{line}: {reason}")]
    Parse { line: usize, reason: String },
    /// The template is well formed, and fails on this context. `at` is the expression, as Go prints it back.
    #[error("template: expansion:{line}:{column}: executing {} at <{at}>: {reason}", crate::quote::quote(.template.as_bytes()))]
    Execute {
        line: usize,
        column: usize,
        template: String,
        at: String,
        reason: String,
    },
    /// The same, with the spec's field in front: `expanding hostname failed`.
    #[error("{field}: {source}")]
    Field { field: String, source: Box<Error> },
}

impl Error {
    /// This error, said of `field`.
    pub(crate) fn within(self, field: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            source: Box::new(self),
        }
    }
}
