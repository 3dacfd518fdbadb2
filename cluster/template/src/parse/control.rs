//! Actions: the block words, or else a pipe to print.

use std::mem;

use super::{Ending, Item, Parsed, Parser, Scope};
use crate::lex::Kind;
use crate::tree::{Branch, Call, List, Node, Pipe};

impl Parser<'_> {
    /// What follows `{{`, up to the end of a block if it opens one.
    pub(super) fn action(&mut self) -> Parsed<Item> {
        let start = self.at;
        let node = match self.next_solid().kind {
            Kind::Else => return self.else_word(),
            Kind::EndKeyword => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Item::Ending(Ending::End));
            }
            Kind::Block => Some(self.nested(Self::block)?),
            Kind::Break => Some(self.leave(Node::Break, "{{break}}")?),
            Kind::Continue => Some(self.leave(Node::Continue, "{{continue}}")?),
            Kind::If => Some(self.nested(|parser| parser.branch(Branch::If))?),
            Kind::With => Some(self.nested(|parser| parser.branch(Branch::With))?),
            Kind::Range => Some(self.nested(Self::range)?),
            Kind::Template => Some(self.template()?),
            _ => None,
        };
        if let Some(node) = node {
            return Ok(Item::Node(node));
        }
        self.at = start;
        let pipe = self.pipeline("command", Kind::RightDelim)?;
        Ok(Item::Node(Node::Action(pipe)))
    }

    /// `else`, leaving a following `if` or `with` to the block it belongs to.
    fn else_word(&mut self) -> Parsed<Item> {
        if !matches!(self.peek_solid().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Item::Ending(Ending::Else))
    }

    fn leave(&mut self, node: Node, word: &str) -> Parsed<Node> {
        self.expect(Kind::RightDelim, word)?;
        if self.scope.ranges == 0 {
            return self.fail(format!("{word} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn branch(&mut self, kind: Branch) -> Parsed<Node> {
        let (context, word) = match kind {
            Branch::If => ("if", Kind::If),
            Branch::With => ("with", Kind::With),
        };
        let variables = self.scope.variables.len();
        let mut arms = Vec::new();
        let otherwise = loop {
            let pipe = self.pipeline(context, Kind::RightDelim)?;
            let (list, ending) = self.list()?;
            arms.push((pipe, list));
            if ending == Ending::End {
                break List::new();
            }
            if self.peek().kind != word {
                break self.last_list()?;
            }
            self.next();
        };
        self.scope.variables.truncate(variables);
        Ok(Node::Branch {
            kind,
            arms,
            otherwise,
        })
    }

    fn range(&mut self) -> Parsed<Node> {
        let variables = self.scope.variables.len();
        let pipe = self.pipeline("range", Kind::RightDelim)?;
        self.scope.ranges += 1;
        let (body, ending) = self.list()?;
        self.scope.ranges -= 1;
        let otherwise = match ending {
            Ending::End => List::new(),
            Ending::Else => self.last_list()?,
        };
        self.scope.variables.truncate(variables);
        Ok(Node::Range {
            pipe,
            body,
            otherwise,
        })
    }

    /// The list after `{{else}}`.
    fn last_list(&mut self) -> Parsed<List> {
        let (list, ending) = self.list()?;
        if ending != Ending::End {
            return self.fail(format!("expected end; found {}", ending.text()));
        }
        Ok(list)
    }

    /// `block`: defines a template and calls it in place.
    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_solid();
        let at = token.at;
        let name = self.template_name(token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let clause = self.line();
        let outer = mem::replace(&mut self.scope, Scope::new());
        let (list, ending) = self.list()?;
        if ending != Ending::End {
            let reason = format!("unexpected {} in {CONTEXT}", ending.text());
            return self.fail_on(clause, reason);
        }
        self.add(name.clone(), list)?;
        self.scope = outer;
        Ok(call(at, name, Some(pipe)))
    }

    fn template(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_solid();
        let at = token.at;
        let name = self.template_name(token, CONTEXT)?;
        if self.peek_solid().kind == Kind::RightDelim {
            self.next();
            return Ok(call(at, name, None));
        }
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        Ok(call(at, name, Some(pipe)))
    }
}

fn call(at: usize, name: String, pipe: Option<Pipe>) -> Node {
    Node::Call(Call { at, name, pipe })
}
