//! The tokens between `{{` and `}}`.

use super::{Ended, Kind, Lexer, has_right_trim, is_space};
use crate::quote::{is_print, quote};

impl Lexer<'_> {
    /// Reads up to and including the closing delimiter.
    pub(super) fn action(&mut self) -> Result<(), Ended> {
        loop {
            if let Some(trims) = self.right_delim() {
                return self.close(trims);
            }
            let Some(letter) = self.next() else {
                return self.fail("unclosed action");
            };
            self.token(letter)?;
        }
    }

    fn close(&mut self, trims: bool) -> Result<(), Ended> {
        if self.parens > 0 {
            return self.fail("unclosed left paren");
        }
        self.start = self.at + if trims { 2 } else { 0 };
        self.push(Kind::RightDelim, b"}}".to_vec());
        self.skip_right_delim(trims);
        self.start = self.at;
        Ok(())
    }

    fn token(&mut self, letter: char) -> Result<(), Ended> {
        match letter {
            ' ' | '\t' | '\r' | '\n' => self.space(),
            '=' => self.emit(Kind::Assign),
            ':' if self.next() == Some('=') => self.emit(Kind::Declare),
            ':' => return self.fail("expected :="),
            '|' => self.emit(Kind::Pipe),
            '"' => return self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => {
                return self.quoted('\'', Kind::CharConstant, "unterminated character constant");
            }
            '`' => return self.raw_string(),
            '$' => return self.name(Kind::Variable, Kind::Variable),
            '.' if !self.peek().is_some_and(|next| next.is_ascii_digit())
                && self.peek().is_some() =>
            {
                return self.name(Kind::Field, Kind::Dot);
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(),
            '(' => {
                self.parens += 1;
                self.emit(Kind::LeftParen);
            }
            ')' if self.parens == 0 => return self.fail("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                self.emit(Kind::RightParen);
            }
            _ if is_word(letter) => return self.word(),
            _ if letter.is_ascii() && is_print(letter) => self.emit(Kind::Punctuation),
            _ => {
                let shown = shown(letter);
                return self.fail(format!("unrecognized character in action: {shown}"));
            }
        }
        Ok(())
    }

    /// A run of spaces, less the one that belongs to a trimming delimiter.
    fn space(&mut self) {
        while self.rest().first().is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
        let from_last = &self.input[self.at - 1..];
        if has_right_trim(from_last) && from_last[2..].starts_with(b"}}") {
            self.at -= 1;
        }
        if self.at > self.start {
            self.emit(Kind::Space);
        }
    }

    fn quoted(&mut self, mark: char, kind: Kind, unterminated: &str) -> Result<(), Ended> {
        loop {
            match self.next() {
                Some('\\') if !matches!(self.next(), None | Some('\n')) => {}
                Some('\\' | '\n') | None => return self.fail(unterminated),
                Some(letter) if letter == mark => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn raw_string(&mut self) -> Result<(), Ended> {
        loop {
            match self.next() {
                None => return self.fail("unterminated raw quoted string"),
                Some('`') => break,
                Some(_) => {}
            }
        }
        self.emit(Kind::RawString);
        Ok(())
    }

    /// A field or variable after its first character, `bare` if nothing follows that.
    fn name(&mut self, kind: Kind, bare: Kind) -> Result<(), Ended> {
        if self.at_terminator() {
            self.emit(bare);
            return Ok(());
        }
        self.word_letters()?;
        self.emit(kind);
        Ok(())
    }

    fn word(&mut self) -> Result<(), Ended> {
        self.word_letters()?;
        let kind = match &self.input[self.start..self.at] {
            b"block" => Kind::Block,
            b"break" => Kind::Break,
            b"continue" => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::EndKeyword,
            b"if" => Kind::If,
            b"nil" => Kind::Nil,
            b"range" => Kind::Range,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn word_letters(&mut self) -> Result<(), Ended> {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        match self.peek() {
            Some(letter) if !self.at_terminator() => {
                let shown = shown(letter);
                self.fail(format!("bad character {shown}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a name may end here; `$x+2` is refused rather than split.
    fn at_terminator(&self) -> bool {
        let ends = |letter| " \t\r\n.,|:)(".contains(letter);
        self.peek().is_none_or(ends) || self.rest().starts_with(b"}}")
    }

    /// Numbers are cut out generously here, and judged by the parser.
    fn number(&mut self) -> Result<(), Ended> {
        self.at = self.start;
        let mut kind = Kind::Number;
        let mut good = self.scan_number();
        if good && matches!(self.peek(), Some('+' | '-')) {
            kind = Kind::Complex;
            good = self.scan_number() && self.input[self.at - 1] == b'i';
        }
        if !good {
            let text = quote(&self.input[self.start..self.at]);
            return self.fail(format!("bad number syntax: {text}"));
        }
        self.emit(kind);
        Ok(())
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        while self.accept(digits) {}
        if self.accept(".") {
            while self.accept(digits) {}
        }
        let exponent = match digits.len() {
            11 => self.accept("eE"),
            23 => self.accept("pP"),
            _ => false,
        };
        if exponent {
            self.accept("+-");
            while self.accept("0123456789_") {}
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }

    fn accept(&mut self, valid: &str) -> bool {
        let found = self.peek().is_some_and(|letter| valid.contains(letter));
        if found {
            self.next();
        }
        found
    }
}

fn is_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

/// A character as Go's `%#U` shows it: `U+0040 '@'`.
fn shown(letter: char) -> String {
    let code = format!("U+{:04X}", u32::from(letter));
    if is_print(letter) {
        return format!("{code} '{letter}'");
    }
    code
}
