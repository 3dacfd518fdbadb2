//! Expressions: each stage's value is the last argument of the next.

use super::{Ran, Run};
use crate::builtin::{self, Function, Parameter};
use crate::quote::quote;
use crate::sources::Missing;
use crate::tree::{Command, Number, Operand, Pipe, Term};
use crate::value::Value;

impl<'t> Run<'t> {
    pub(super) fn pipe(&mut self, dot: &Value, pipe: &'t Pipe) -> Ran<Value> {
        self.visit(pipe.at, pipe)?;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.deeper(|run| run.command(dot, command, value))?);
        }
        let value = value.unwrap_or(Value::Nil);
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// `last` is the value of the stage before.
    fn command(&mut self, dot: &Value, command: &'t Command, last: Option<Value>) -> Ran<Value> {
        let [first, arguments @ ..] = command.operands.as_slice() else {
            return Ok(Value::Nil);
        };
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &first.term {
            Term::Function(name) => {
                self.visit(first.at, first)?;
                self.call(dot, name, (command.at, command), arguments, last)
            }
            Term::Field(_) | Term::Chain { .. } => self.member(dot, first, has_arguments),
            Term::Variable(names) if names.len() > 1 => self.member(dot, first, has_arguments),
            Term::Pipe(_) if !has_arguments => self.operand(dot, first),
            term => {
                // A parenthesized pipe is not visited before its arguments are refused.
                if !matches!(term, Term::Pipe(_)) {
                    self.visit(first.at, first)?;
                }
                if has_arguments {
                    let shown = bare(first);
                    return self.fail(format!("can't give argument to non-function {shown}"));
                }
                if matches!(term, Term::Nil) {
                    return self.fail("nil is not a command");
                }
                self.operand(dot, first)
            }
        }
    }

    /// An operand on its own, without arguments.
    fn operand(&mut self, dot: &Value, operand: &'t Operand) -> Ran<Value> {
        match &operand.term {
            Term::Field(_) | Term::Chain { .. } => return self.member(dot, operand, false),
            Term::Variable(names) if names.len() > 1 => return self.member(dot, operand, false),
            Term::Pipe(pipe) => return self.pipe(dot, pipe),
            _ => self.visit(operand.at, operand)?,
        }
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Bool(flag) => Ok(Value::Bool(*flag)),
            Term::Text { text, .. } => Ok(Value::Text(text.clone())),
            Term::Number { literal, number } => match number {
                Number::Int(number) => Ok(Value::Int(*number)),
                Number::Float(number) => Ok(Value::Float(*number)),
                Number::TooLarge => self.fail(format!("{literal} overflows int")),
            },
            Term::Variable(names) => self.variable(&names[0]).cloned(),
            Term::Function(name) => self.call(dot, name, (operand.at, operand), &[], None),
            _ => Ok(Value::Nil),
        }
    }

    /// Fields of the dot, of a variable or of what an operand gives.
    fn member(&mut self, dot: &Value, operand: &'t Operand, has_arguments: bool) -> Ran<Value> {
        self.visit(operand.at, operand)?;
        let (mut value, names) = match &operand.term {
            Term::Field(names) => (dot.clone(), names.as_slice()),
            Term::Variable(names) => (self.variable(&names[0])?.clone(), &names[1..]),
            Term::Chain { base, fields } => (self.operand(dot, base)?, fields.as_slice()),
            _ => return Ok(Value::Nil),
        };
        for (index, name) in names.iter().enumerate() {
            let called = has_arguments && index + 1 == names.len();
            value = self.field(&value, name, called)?;
        }
        Ok(value)
    }

    fn field(&self, of: &Value, name: &str, called: bool) -> Ran<Value> {
        let type_name = of.type_name();
        match of {
            Value::Nil => {
                return self.fail(format!(
                    "nil data; no entry for key {}",
                    quote(name.as_bytes())
                ));
            }
            Value::Record(record) => {
                if record.private.contains(&name) {
                    return self.fail(format!(
                        "{name} is an unexported field of struct type {type_name}"
                    ));
                }
                if let Some(value) = record.field(name) {
                    if called {
                        return self.fail(format!(
                            "{name} has arguments but cannot be invoked as function"
                        ));
                    }
                    return Ok(value.clone());
                }
            }
            Value::Map(map) => {
                if called {
                    return self.fail(format!("{name} is not a method but has arguments"));
                }
                return match map.get(name.as_bytes()) {
                    Some(value) => Ok(Value::Text(value.clone())),
                    None => self.fail(format!(
                        "map has no entry for key {}",
                        quote(name.as_bytes())
                    )),
                };
            }
            _ => {}
        }
        self.fail(format!("can't evaluate field {name} in type {type_name}"))
    }

    /// A function on its arguments. `whole` is the expression to blame if the function itself fails.
    fn call(
        &mut self,
        dot: &Value,
        name: &str,
        whole: (usize, &'t dyn std::fmt::Display),
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Ran<Value> {
        let Some(function) = Function::named(name, self.sources.is_some()) else {
            return self.fail(format!(
                "{} is not a defined function",
                quote(name.as_bytes())
            ));
        };
        let count = arguments.len() + usize::from(last.is_some());
        let accepted = function.accept(name, arguments.len(), count);
        self.allow(accepted)?;
        if let Function::And | Function::Or = function {
            return self.decide(dot, function, arguments, last);
        }
        let mut values = Vec::with_capacity(count);
        for (index, argument) in arguments.iter().enumerate() {
            values.push(self.argument(dot, argument, function.parameter(index))?);
        }
        let last_index = arguments.len();
        if let Some(last) = last {
            values.push(self.typed(last, function.parameter(last_index))?);
        }
        let paid = self.budget.pay(values.iter().map(Value::weight).sum());
        self.allow(paid)?;
        let called = match function {
            Function::Call => Err(self.not_callable(&values[0], arguments.first())),
            Function::Secret | Function::Config | Function::Env => {
                self.source(function, &values[0])
            }
            _ => builtin::apply(function, &values),
        };
        match called {
            Ok(value) => Ok(value),
            Err(reason) => {
                self.at = whole;
                self.fail(format!("error calling {name}: {reason}"))
            }
        }
    }

    /// `and` and `or`: the first argument that decides, without looking at those after it, else the last.
    fn decide(
        &mut self,
        dot: &Value,
        function: Function,
        arguments: &'t [Operand],
        last: Option<Value>,
    ) -> Ran<Value> {
        let mut value = Value::Nil;
        for argument in arguments {
            value = self.argument(dot, argument, Parameter::Any)?;
            if value.is_true() == (function == Function::Or) {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(&mut self, dot: &Value, argument: &'t Operand, parameter: Parameter) -> Ran<Value> {
        match (&argument.term, parameter) {
            (Term::Nil, Parameter::Any) => {
                self.visit(argument.at, argument)?;
                Ok(Value::Nil)
            }
            (Term::Nil, Parameter::Text) => {
                self.visit(argument.at, argument)?;
                self.fail("cannot assign nil to string")
            }
            (Term::Bool(_) | Term::Number { .. }, Parameter::Text) => {
                self.visit(argument.at, argument)?;
                self.fail(format!("expected string; found {argument}"))
            }
            _ => {
                self.at = (argument.at, argument);
                let value = self.operand(dot, argument)?;
                self.typed(value, parameter)
            }
        }
    }

    fn typed(&self, value: Value, parameter: Parameter) -> Ran<Value> {
        match (parameter, &value) {
            (Parameter::Any, _) | (Parameter::Text, Value::Text(_)) => Ok(value),
            (Parameter::Text, Value::Nil) => self.fail("invalid value; expected string"),
            (Parameter::Text, _) => {
                let type_name = value.type_name();
                self.fail(format!(
                    "wrong type for value; expected string; got {type_name}"
                ))
            }
        }
    }

    /// `call` is there, as in Go, but nothing a template can reach is a function.
    fn not_callable(&self, value: &Value, operand: Option<&Operand>) -> String {
        let type_name = value.type_name();
        let name = match (operand, value) {
            (_, Value::Nil) => return "call of nil".to_owned(),
            (Some(operand), _) => bare(operand),
            (None, Value::Text(_)) => self.shown(value),
            (None, _) => format!("<{type_name} Value>"),
        };
        format!("non-function {name} of type {type_name}")
    }

    /// The payload functions.
    fn source(&mut self, function: Function, target: &Value) -> Result<Value, String> {
        let (Some(sources), Value::Text(text)) = (self.sources, target) else {
            return Err("no sources".to_owned());
        };
        let target_name = String::from_utf8_lossy(text);
        let (kind, found) = match function {
            Function::Secret => ("secret", sources.secret(&target_name)),
            Function::Config => ("config", sources.config(&target_name)),
            _ => return Ok(Value::text(&sources.env(&target_name).unwrap_or_default())),
        };
        match found {
            Ok(bytes) => {
                self.used_secret |= function == Function::Secret;
                Ok(Value::bytes(bytes))
            }
            Err(Missing::Target) => Err(format!("{kind} target {} not found", self.shown(target))),
            Err(Missing::Payload(reason)) => Err(reason),
        }
    }
}

/// An operand as texts about it show it: a pipe without its parentheses.
fn bare(operand: &Operand) -> String {
    match &operand.term {
        Term::Pipe(pipe) => pipe.to_string(),
        _ => operand.to_string(),
    }
}
