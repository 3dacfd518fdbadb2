//! Text into tokens.
//!
//! Outside of `{{ }}` all is text; inside, spaces are tokens too, since they part arguments. `{{- ` and ` -}}` eat the
//! white space beside them, and comments vanish. The first error ends the tokens, and the parser reports it when it gets there.

mod action;

use crate::quote::decode;

/// What a token is. Those from `Block` on are the keywords, which errors print in angle brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Error,
    Bool,
    Punctuation,
    CharConstant,
    Complex,
    Assign,
    Declare,
    End,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    String,
    Text,
    Variable,
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    EndKeyword,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// One token: its kind, its bytes (the message, for an error), where it starts and on which line.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: Vec<u8>,
    pub(crate) at: usize,
    pub(crate) line: usize,
}

/// The tokens of a whole text. The last one is [`Kind::End`] or [`Kind::Error`].
pub(crate) fn lex(input: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer::new(input);
    lexer.run();
    lexer.tokens
}

struct Lexer<'i> {
    input: &'i [u8],
    /// Where the current token starts, and where reading is.
    start: usize,
    at: usize,
    /// The line of `counted`, kept so that lines are counted once.
    line: usize,
    counted: usize,
    parens: usize,
    tokens: Vec<Token>,
}

/// The lexer has ended with an error token.
struct Ended;

impl<'i> Lexer<'i> {
    fn new(input: &'i [u8]) -> Self {
        Self {
            input,
            start: 0,
            at: 0,
            line: 1,
            counted: 0,
            parens: 0,
            tokens: Vec::new(),
        }
    }

    fn run(&mut self) {
        while self.at < self.input.len() {
            let step = match find(self.rest(), b"{{") {
                Some(length) => self.text_before(length).and_then(|()| self.delimited()),
                None => {
                    self.at = self.input.len();
                    self.emit(Kind::Text);
                    Ok(())
                }
            };
            if step.is_err() {
                return;
            }
        }
        self.start = self.at;
        self.push(Kind::End, b"EOF".to_vec());
    }

    /// The text up to a delimiter, less the space that a trim marker eats.
    fn text_before(&mut self, length: usize) -> Result<(), Ended> {
        let delimiter = self.at + length;
        let text = &self.input[self.at..delimiter];
        let kept = if has_left_trim(&self.input[delimiter + 2..]) {
            text.len()
                - text
                    .iter()
                    .rev()
                    .take_while(|byte| is_space(**byte))
                    .count()
        } else {
            text.len()
        };
        self.at += kept;
        if kept > 0 {
            self.emit(Kind::Text);
        }
        self.at = delimiter;
        self.start = delimiter;
        Ok(())
    }

    /// From `{{` to the matching `}}`.
    fn delimited(&mut self) -> Result<(), Ended> {
        self.at += 2;
        let trimmed = if has_left_trim(self.rest()) { 2 } else { 0 };
        if self.rest()[trimmed..].starts_with(b"/*") {
            self.at += trimmed;
            self.start = self.at;
            return self.comment();
        }
        self.emit(Kind::LeftDelim);
        self.at += trimmed;
        self.start = self.at;
        self.parens = 0;
        self.action()
    }

    fn comment(&mut self) -> Result<(), Ended> {
        let Some(length) = find(&self.rest()[2..], b"*/") else {
            return self.fail("unclosed comment");
        };
        self.at += 2 + length + 2;
        let Some(trims) = self.right_delim() else {
            return self.fail("comment ends before closing delimiter");
        };
        self.skip_right_delim(trims);
        self.start = self.at;
        Ok(())
    }

    /// Whether a closing delimiter is here, and if so whether it trims.
    fn right_delim(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_trim(rest) && rest[2..].starts_with(b"}}") {
            return Some(true);
        }
        rest.starts_with(b"}}").then_some(false)
    }

    fn skip_right_delim(&mut self, trims: bool) {
        self.at += if trims { 4 } else { 2 };
        if trims {
            self.at += self
                .rest()
                .iter()
                .take_while(|byte| is_space(**byte))
                .count();
        }
    }

    fn rest(&self) -> &'i [u8] {
        &self.input[self.at..]
    }

    fn peek(&self) -> Option<char> {
        let rest = self.rest();
        (!rest.is_empty()).then(|| decode(rest).0)
    }

    fn next(&mut self) -> Option<char> {
        let rest = self.rest();
        if rest.is_empty() {
            return None;
        }
        let (letter, size) = decode(rest);
        self.at += size;
        Some(letter)
    }

    fn emit(&mut self, kind: Kind) {
        let text = self.input[self.start..self.at].to_vec();
        self.push(kind, text);
        self.start = self.at;
    }

    fn push(&mut self, kind: Kind, text: Vec<u8>) {
        let passed = &self.input[self.counted..self.start];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.start;
        self.tokens.push(Token {
            kind,
            text,
            at: self.start,
            line: self.line,
        });
    }

    fn fail<T>(&mut self, message: impl Into<String>) -> Result<T, Ended> {
        self.push(Kind::Error, message.into().into_bytes());
        Err(Ended)
    }
}

fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|window| window == needle)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `- ` after an opening delimiter.
fn has_left_trim(rest: &[u8]) -> bool {
    matches!(rest, [b'-', space, ..] if is_space(*space))
}

/// ` -` in front of a closing one.
fn has_right_trim(rest: &[u8]) -> bool {
    matches!(rest, [space, b'-', ..] if is_space(*space))
}
