//! A parsed template, and how its expressions print.
//!
//! Expressions print back as Go prints them, since that is what the `at <…>` of an error shows.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use crate::quote::quote;
use crate::value::Bytes;

/// The templates of one text by name: what `define` and `block` made, and the text itself as [`MAIN`].
pub(crate) type Templates = BTreeMap<String, List>;

/// The name of the text itself, as swarm's error texts have it.
pub(crate) const MAIN: &str = "expansion";

/// What runs one after the other.
pub(crate) type List = Vec<Node>;

#[derive(Debug)]
pub(crate) enum Node {
    Text(Bytes),
    Action(Pipe),
    /// `if` and `with`: the first arm whose pipe is true, else `otherwise`. `else if` is one more arm.
    Branch {
        kind: Branch,
        arms: Vec<(Pipe, List)>,
        otherwise: List,
    },
    Range {
        pipe: Pipe,
        body: List,
        otherwise: List,
    },
    Call(Call),
    Break,
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Branch {
    If,
    With,
}

/// `{{template "name" pipe}}`, also what a `block` leaves in its place.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) at: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// `$x, $y := command | command`.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) at: usize,
    pub(crate) variables: Vec<String>,
    /// `=` and not `:=`.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

/// A value, or a function and its arguments. Never empty.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) at: usize,
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) at: usize,
    pub(crate) term: Term,
}

#[derive(Debug)]
pub(crate) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number {
        literal: String,
        number: Number,
    },
    Text {
        literal: Bytes,
        text: Bytes,
    },
    Field(Vec<String>),
    /// The variable, then fields of it.
    Variable(Vec<String>),
    Function(String),
    /// Fields of what a function or a pipe gives.
    Chain {
        base: Box<Operand>,
        fields: Vec<String>,
    },
    Pipe(Box<Pipe>),
}

/// A number literal. Beyond 64 bits of sign it parses, and fails only when it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    TooLarge,
}

impl Display for Call {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{{{{template {}", quote(self.name.as_bytes()))?;
        if let Some(pipe) = &self.pipe {
            write!(out, " {pipe}")?;
        }
        write!(out, "}}}}")
    }
}

impl Display for Pipe {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            let sign = if self.assigns { "=" } else { ":=" };
            write!(out, "{} {sign} ", self.variables.join(", "))?;
        }
        join(out, &self.commands, " | ")
    }
}

impl Display for Command {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        join(out, &self.operands, " ")
    }
}

impl Display for Operand {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.term {
            Term::Dot => write!(out, "."),
            Term::Nil => write!(out, "nil"),
            Term::Bool(flag) => write!(out, "{flag}"),
            Term::Number { literal, .. } => write!(out, "{literal}"),
            Term::Text { literal, .. } => write!(out, "{}", String::from_utf8_lossy(literal)),
            Term::Field(names) => write!(out, ".{}", names.join(".")),
            Term::Variable(names) => write!(out, "{}", names.join(".")),
            Term::Function(name) => write!(out, "{name}"),
            Term::Chain { base, fields } => write!(out, "{base}.{}", fields.join(".")),
            Term::Pipe(pipe) => write!(out, "({pipe})"),
        }
    }
}

fn join<T: Display>(out: &mut Formatter<'_>, items: &[T], between: &str) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            write!(out, "{between}")?;
        }
        write!(out, "{item}")?;
    }
    Ok(())
}
