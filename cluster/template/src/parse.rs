//! Tokens into templates.
//!
//! A plain descent: lists of nodes here, block words in [`control`], expressions in [`pipeline`]. It refuses what Go
//! refuses with Go's words, and nothing that runs later can loop without bound in here: one token is read at least once
//! per step, and nesting ends at [`NESTING`].

mod control;
mod pipeline;

use std::mem;

use crate::error::Error;
use crate::lex::{Kind, Token, lex};
use crate::limit::NESTING;
use crate::quote::{quote, unquote};
use crate::tree::{List, MAIN, Node, Templates};

/// The templates in `input`. `functions` tells which names may be called.
pub(crate) fn parse(input: &[u8], functions: &dyn Fn(&str) -> bool) -> Result<Templates, Error> {
    let mut parser = Parser {
        tokens: lex(input),
        at: 0,
        seen: 0,
        functions,
        templates: Templates::new(),
        scope: Scope::new(),
        depth: 0,
    };
    parser.text()?;
    Ok(parser.templates)
}

struct Parser<'f> {
    tokens: Vec<Token>,
    /// The next token, and the furthest one looked at: errors speak of the latter's line.
    at: usize,
    seen: usize,
    functions: &'f dyn Fn(&str) -> bool,
    templates: Templates,
    scope: Scope,
    depth: usize,
}

/// What starts afresh inside of `define` and `block`.
struct Scope {
    variables: Vec<String>,
    /// The line on which the action being read began, 0 outside of one.
    action_line: usize,
    ranges: usize,
}

impl Scope {
    fn new() -> Self {
        Self {
            variables: vec!["$".to_owned()],
            action_line: 0,
            ranges: 0,
        }
    }
}

/// How a list ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    End,
    Else,
}

impl Ending {
    fn text(self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A node, or the word that ends the list.
enum Item {
    Node(Node),
    Ending(Ending),
}

type Parsed<T> = Result<T, Error>;

impl Parser<'_> {
    /// The whole text, which alone may hold `define`.
    fn text(&mut self) -> Parsed<()> {
        let mut list = List::new();
        while self.peek().kind != Kind::End {
            if self.starts_definition() {
                self.definition()?;
                continue;
            }
            match self.item()? {
                Item::Node(node) => list.push(node),
                Item::Ending(ending) => return self.fail(format!("unexpected {}", ending.text())),
            }
        }
        self.add(MAIN.to_owned(), list)
    }

    fn starts_definition(&mut self) -> bool {
        if self.peek().kind != Kind::LeftDelim {
            return false;
        }
        let start = self.at;
        self.next();
        let defines = self.next_solid().kind == Kind::Define;
        if !defines {
            self.at = start;
        }
        defines
    }

    fn definition(&mut self) -> Parsed<()> {
        let outer = mem::replace(&mut self.scope, Scope::new());
        let token = self.next_solid();
        let name = self.template_name(token, "define clause")?;
        self.expect(Kind::RightDelim, "define clause")?;
        let (list, ending) = self.list()?;
        if ending != Ending::End {
            return self.fail(format!("unexpected {} in define clause", ending.text()));
        }
        self.add(name, list)?;
        self.scope = outer;
        Ok(())
    }

    /// Keeps a template. A blank one gives way to another of its name; two that say something are refused.
    fn add(&mut self, name: String, list: List) -> Parsed<()> {
        match self.templates.get(&name) {
            Some(present) if !is_blank(present) => {
                if !is_blank(&list) {
                    let name = quote(name.as_bytes());
                    return self.fail(format!("template: multiple definition of template {name}"));
                }
            }
            _ => {
                self.templates.insert(name, list);
            }
        }
        Ok(())
    }

    /// Nodes up to `{{end}}` or `{{else}}`.
    fn list(&mut self) -> Parsed<(List, Ending)> {
        let mut list = List::new();
        while self.peek_solid().kind != Kind::End {
            match self.item()? {
                Item::Node(node) => list.push(node),
                Item::Ending(ending) => return Ok((list, ending)),
            }
        }
        self.fail("unexpected EOF")
    }

    fn item(&mut self) -> Parsed<Item> {
        let token = self.next_solid();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node::Text(token.text.into()))),
            Kind::LeftDelim => {
                self.scope.action_line = token.line;
                let item = self.action()?;
                self.scope.action_line = 0;
                Ok(item)
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    /// Counts one more level of parentheses or blocks for as long as `inner` reads.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= NESTING {
            return self.fail("max expression depth exceeded");
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn template_name(&mut self, token: Token, context: &str) -> Parsed<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(&token, context);
        }
        match unquote(&token.text) {
            Ok(name) => Ok(String::from_utf8_lossy(&name).into_owned()),
            Err(reason) => self.fail(reason),
        }
    }

    fn peek(&mut self) -> &Token {
        self.seen = self.seen.max(self.at);
        &self.tokens[self.at]
    }

    /// The next token. The last one, an end or an error, stays.
    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
        token
    }

    fn peek_solid(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn next_solid(&mut self) -> Token {
        self.peek_solid();
        self.next()
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<()> {
        let token = self.next_solid();
        if token.kind == kind {
            return Ok(());
        }
        self.unexpected(&token, context)
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        let shown = show(token);
        if token.kind != Kind::Error {
            return self.fail(format!("unexpected {shown} in {context}"));
        }
        let started = self.scope.action_line;
        if started == 0 || started == token.line {
            return self.fail(shown);
        }
        // Go avoids "unclosed action in action started at".
        let link = if shown.ends_with(" action") {
            ""
        } else {
            " in action"
        };
        self.fail(format!("{shown}{link} started at {MAIN}:{started}"))
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        self.fail_on(self.line(), reason)
    }

    fn fail_on<T>(&self, line: usize, reason: impl Into<String>) -> Parsed<T> {
        let reason = reason.into();
        Err(Error::Parse { line, reason })
    }

    fn line(&self) -> usize {
        self.tokens[self.seen].line
    }
}

/// Whether a template says nothing: white space only.
fn is_blank(list: &List) -> bool {
    list.iter().all(|node| match node {
        Node::Text(text) => text.trim_ascii().is_empty(),
        _ => false,
    })
}

/// A token in an error: keywords in angle brackets, all else quoted and cut after 10 characters.
fn show(token: &Token) -> String {
    let text = String::from_utf8_lossy(&token.text);
    match token.kind {
        Kind::End | Kind::Error => text.into_owned(),
        kind if kind >= Kind::Block => format!("<{text}>"),
        _ if token.text.len() > 10 => {
            let start: String = text.chars().take(10).collect();
            format!("{}...", quote(start.as_bytes()))
        }
        _ => quote(&token.text),
    }
}
