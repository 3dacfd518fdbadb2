//! Nodes: text, actions, branches, loops and calls of templates.

use std::mem;

use super::{Ran, Run};
use crate::limit::too_long;
use crate::tree::{Branch, Call, List, Node, Pipe};
use crate::value::Value;

/// Where a list goes on after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'t> Run<'t> {
    pub(super) fn list(&mut self, dot: &Value, list: &'t List) -> Ran<Flow> {
        self.deeper(|run| {
            for node in list {
                let flow = run.node(dot, node)?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn node(&mut self, dot: &Value, node: &'t Node) -> Ran<Flow> {
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Action(pipe) => {
                let value = self.pipe(dot, pipe)?;
                // What declares or assigns prints nothing, and its variables live on until the block's end.
                if pipe.variables.is_empty() {
                    self.print(&value)?;
                }
            }
            Node::Branch {
                kind,
                arms,
                otherwise,
            } => return self.branch(dot, *kind, arms, otherwise),
            Node::Range {
                pipe,
                body,
                otherwise,
            } => return self.range(dot, pipe, body, otherwise),
            Node::Call(call) => self.call_template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn write(&mut self, bytes: &[u8]) -> Ran<()> {
        self.out.push(bytes);
        if self.out.is_full() {
            return self.fail(too_long());
        }
        Ok(())
    }

    fn print(&mut self, value: &Value) -> Ran<()> {
        let printed = crate::print::print_action(value);
        let printed = self.allow(printed)?;
        self.write(&printed)
    }

    fn branch(
        &mut self,
        dot: &Value,
        kind: Branch,
        arms: &'t [(Pipe, List)],
        otherwise: &'t List,
    ) -> Ran<Flow> {
        let mark = self.variables.len();
        let mut chosen = (dot.clone(), otherwise);
        for (pipe, list) in arms {
            let value = self.pipe(dot, pipe)?;
            if value.is_true() {
                let inner = if kind == Branch::With {
                    value
                } else {
                    dot.clone()
                };
                chosen = (inner, list);
                break;
            }
        }
        let flow = self.list(&chosen.0, chosen.1);
        self.variables.truncate(mark);
        flow
    }

    fn range(
        &mut self,
        dot: &Value,
        pipe: &'t Pipe,
        body: &'t List,
        otherwise: &'t List,
    ) -> Ran<Flow> {
        let mark = self.variables.len();
        let over = self.pipe(dot, pipe)?;
        let ran = match &over {
            Value::Map(map) => {
                let pairs = map.iter();
                self.iterate(
                    pipe,
                    body,
                    pairs
                        .map(|(key, value)| (Value::Text(key.clone()), Value::Text(value.clone()))),
                )?
            }
            Value::Int(_) | Value::Byte(_) if pipe.variables.len() > 1 => {
                let shown = self.shown(&over);
                return self.fail(format!(
                    "can't use {shown} to iterate over more than one variable"
                ));
            }
            Value::Int(count) => self.iterate(
                pipe,
                body,
                (0..*count).map(|number| (Value::Nil, Value::Int(number))),
            )?,
            Value::Byte(count) => self.iterate(
                pipe,
                body,
                (0..*count).map(|number| (Value::Nil, Value::Byte(number))),
            )?,
            Value::Nil => false,
            Value::Bool(_) | Value::Float(_) | Value::Text(_) | Value::Record(_) => {
                let shown = self.shown(&over);
                // Go looks through the pointer before it prints what it cannot iterate over.
                return self.fail(format!(
                    "range can't iterate over {}",
                    shown.trim_start_matches('&')
                ));
            }
        };
        let flow = if ran {
            Ok(Flow::Next)
        } else {
            self.list(dot, otherwise)
        };
        self.variables.truncate(mark);
        flow
    }

    /// Runs the body once per pair of index and element. False if there was none.
    fn iterate(
        &mut self,
        pipe: &'t Pipe,
        body: &'t List,
        pairs: impl Iterator<Item = (Value, Value)>,
    ) -> Ran<bool> {
        let mark = self.variables.len();
        let mut ran = false;
        for (index, element) in pairs {
            ran = true;
            let paid = self.budget.step();
            self.allow(paid)?;
            self.bind(pipe, index, element.clone())?;
            let flow = self.list(&element, body)?;
            self.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(ran)
    }

    /// Sets the loop's variables: the element alone, or index and element.
    fn bind(&mut self, pipe: &'t Pipe, index: Value, element: Value) -> Ran<()> {
        let values = match pipe.variables.len() {
            0 => return Ok(()),
            1 => vec![element],
            _ => vec![index, element],
        };
        let first = self.variables.len() - if pipe.assigns { 0 } else { values.len() };
        for (offset, (name, value)) in pipe.variables.iter().zip(values).enumerate() {
            if pipe.assigns {
                self.assign(name, value)?;
            } else {
                self.variables[first + offset].1 = value;
            }
        }
        Ok(())
    }

    /// Another template on a dot of its own; it sees no variable but `$`.
    fn call_template(&mut self, dot: &Value, call: &'t Call) -> Ran<()> {
        self.visit(call.at, call)?;
        let Some((name, list)) = self.templates.get_key_value(&call.name) else {
            let name = crate::quote::quote(call.name.as_bytes());
            return self.fail(format!("template {name} not defined"));
        };
        let inner = match &call.pipe {
            Some(pipe) => self.pipe(dot, pipe)?,
            None => Value::Nil,
        };
        let template = mem::replace(&mut self.template, name);
        let variables = mem::replace(&mut self.variables, vec![("$", inner.clone())]);
        self.list(&inner, list)?;
        self.template = template;
        self.variables = variables;
        Ok(())
    }
}
