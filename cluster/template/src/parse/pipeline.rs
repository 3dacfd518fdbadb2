//! Expressions: pipes of commands, commands of operands, operands of a term and fields of it.

use super::{Parsed, Parser};
use crate::lex::{Kind, Token};
use crate::limit::VARIABLES;
use crate::number;
use crate::quote::{quote, unquote, unquote_char};
use crate::tree::{Command, Number, Operand, Pipe, Term};

impl Parser<'_> {
    /// Declarations and commands up to `end`. `context` names the clause in errors, and is `range` where two variables
    /// may be declared.
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let mut pipe = Pipe {
            at: self.peek_solid().at,
            variables: Vec::new(),
            assigns: false,
            commands: Vec::new(),
        };
        while self.declaration(&mut pipe, context)? {}
        while self.peek_solid().kind != end {
            self.stage(&mut pipe, context)?;
        }
        self.next();
        self.check(&pipe, context)?;
        Ok(pipe)
    }

    /// One declared variable, if there is one. True if another may follow.
    fn declaration(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<bool> {
        if self.peek_solid().kind != Kind::Variable {
            return Ok(false);
        }
        let start = self.at;
        let variable = self.next();
        let after = self.peek_solid().clone();
        let comma = after.kind == Kind::Punctuation && after.text == b",";
        if !comma && !matches!(after.kind, Kind::Assign | Kind::Declare) {
            self.at = start;
            return Ok(false);
        }
        self.next();
        let name = text(&variable);
        if self.scope.variables.len() >= VARIABLES {
            return self.fail("too many variables");
        }
        self.scope.variables.push(name.clone());
        pipe.variables.push(name);
        if !comma {
            pipe.assigns = after.kind == Kind::Assign;
            return Ok(false);
        }
        if context != "range" || pipe.variables.len() >= 2 {
            return self.fail(format!("too many declarations in {context}"));
        }
        let follows = self.peek_solid().kind;
        if !matches!(
            follows,
            Kind::Variable | Kind::RightDelim | Kind::RightParen
        ) {
            return self.fail("range can only initialize variables");
        }
        Ok(true)
    }

    fn stage(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        match self.peek_solid().kind {
            Kind::Bool
            | Kind::CharConstant
            | Kind::Complex
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen => {
                let command = self.command()?;
                pipe.commands.push(command);
                Ok(())
            }
            _ => {
                let token = self.next();
                self.unexpected(&token, context)
            }
        }
    }

    /// Something must be there, and only the first stage may be a plain value.
    fn check(&self, pipe: &Pipe, context: &str) -> Parsed<()> {
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let plain = matches!(
                command.operands[0].term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number { .. } | Term::Text { .. }
            );
            if plain {
                let stage = index + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command {
            at: self.peek_solid().at,
            operands: Vec::new(),
        };
        loop {
            self.peek_solid();
            if let Some(operand) = self.operand()? {
                command.operands.push(operand);
            }
            match self.peek().kind {
                Kind::Space => {
                    self.next();
                    continue;
                }
                Kind::RightDelim | Kind::RightParen => {}
                Kind::Pipe => {
                    self.next();
                }
                _ => {
                    let token = self.next();
                    return self.unexpected(&token, "operand");
                }
            }
            break;
        }
        if command.operands.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(operand) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(operand));
        }
        let at = self.peek().at;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(field_name(&self.next()));
        }
        let term = match operand.term {
            Term::Field(names) => Term::Field(names.into_iter().chain(fields).collect()),
            Term::Variable(names) => Term::Variable(names.into_iter().chain(fields).collect()),
            Term::Bool(_) | Term::Text { .. } | Term::Number { .. } | Term::Nil | Term::Dot => {
                let shown = quote(operand.to_string().as_bytes());
                return self.fail(format!("unexpected . after term {shown}"));
            }
            Term::Function(_) | Term::Pipe(_) | Term::Chain { .. } => {
                let base = Box::new(operand);
                Term::Chain { base, fields }
            }
        };
        Ok(Some(Operand { at, term }))
    }

    /// One term, or none if the next token cannot start one.
    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.peek_solid().clone();
        let start = self.at;
        self.next();
        let term = match token.kind {
            Kind::Identifier => self.function(&token)?,
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => self.variable(&token)?,
            Kind::Field => Term::Field(vec![field_name(&token)]),
            Kind::Bool => Term::Bool(token.text == b"true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => self.number(&token)?,
            Kind::String | Kind::RawString => self.string(&token)?,
            Kind::LeftParen => {
                let pipe = self
                    .nested(|parser| parser.pipeline("parenthesized pipeline", Kind::RightParen))?;
                let at = pipe.at;
                let term = Term::Pipe(Box::new(pipe));
                return Ok(Some(Operand { at, term }));
            }
            _ => {
                self.at = start;
                return Ok(None);
            }
        };
        let at = token.at;
        Ok(Some(Operand { at, term }))
    }

    fn function(&self, token: &Token) -> Parsed<Term> {
        let name = text(token);
        if !(self.functions)(&name) {
            return self.fail(format!("function {} not defined", quote(name.as_bytes())));
        }
        Ok(Term::Function(name))
    }

    fn variable(&self, token: &Token) -> Parsed<Term> {
        let name = text(token);
        if !self.scope.variables.contains(&name) {
            return self.fail(format!("undefined variable {}", quote(name.as_bytes())));
        }
        Ok(Term::Variable(vec![name]))
    }

    fn number(&self, token: &Token) -> Parsed<Term> {
        let literal = text(token);
        let number = match token.kind {
            Kind::CharConstant => unquote_char(&token.text).map(Number::Int),
            _ => number::parse(&literal),
        };
        match number {
            Ok(number) => Ok(Term::Number { literal, number }),
            Err(reason) => self.fail(reason),
        }
    }

    fn string(&self, token: &Token) -> Parsed<Term> {
        match unquote(&token.text) {
            Ok(unquoted) => Ok(Term::Text {
                literal: token.text.as_slice().into(),
                text: unquoted.into(),
            }),
            Err(reason) => self.fail(reason),
        }
    }
}

fn text(token: &Token) -> String {
    String::from_utf8_lossy(&token.text).into_owned()
}

/// The name in `.name`.
fn field_name(token: &Token) -> String {
    String::from_utf8_lossy(&token.text[1..]).into_owned()
}
