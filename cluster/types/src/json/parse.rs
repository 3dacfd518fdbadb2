//! From bytes to [`Node`]s, and what is wrong with them in the words of Go's scanner.
//!
//! The grammar is Go's, except that nesting ends earlier, at [`MAX_DEPTH`].

use super::node::Node;
use super::{Error, MAX_DEPTH};

/// Reads text into [`Node`]s and says what is wrong with it in Go's words.
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Parser {
            bytes,
            at: 0,
            depth: 0,
        }
    }

    /// The first value of the text; what follows it is not looked at.
    pub(super) fn document(&mut self) -> Result<Node<'a>, Error> {
        if self.peek_past_space().is_none() {
            return Err(Error::Eof);
        }
        self.value()
    }

    /// Go's `Decoder.More`: a closing bracket does not count.
    pub(super) fn has_more(&mut self) -> bool {
        !matches!(self.peek_past_space(), None | Some(b']' | b'}'))
    }

    fn value(&mut self) -> Result<Node<'a>, Error> {
        match self.significant()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::list),
            b'"' => self.string().map(Node::Text),
            b't' => self.literal("true", Node::Bool(true)),
            b'f' => self.literal("false", Node::Bool(false)),
            b'n' => self.literal("null", Node::Null),
            b'-' | b'0'..=b'9' => self.number(),
            other => Err(unexpected(other, "looking for beginning of value")),
        }
    }

    fn nested(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<Node<'a>, Error>,
    ) -> Result<Node<'a>, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::Syntax("exceeded max depth".to_owned()));
        }
        self.depth += 1;
        self.at += 1;
        let node = parse(self);
        self.depth -= 1;
        node
    }

    /// The rest of an object after its `{`.
    fn object(&mut self) -> Result<Node<'a>, Error> {
        let mut members = Vec::new();
        if self.significant()? == b'}' {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            match self.significant()? {
                b'"' => {}
                other => {
                    return Err(unexpected(
                        other,
                        "looking for beginning of object key string",
                    ));
                }
            }
            let key = self.string()?;
            match self.significant()? {
                b':' => self.at += 1,
                other => return Err(unexpected(other, "after object key")),
            }
            members.push((key, self.value()?));
            if self.ends(b'}', "after object key:value pair")? {
                return Ok(Node::Object(members));
            }
        }
    }

    /// The rest of an array after its `[`.
    fn list(&mut self) -> Result<Node<'a>, Error> {
        let mut items = Vec::new();
        if self.significant()? == b']' {
            self.at += 1;
            return Ok(Node::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.ends(b']', "after array element")? {
                return Ok(Node::List(items));
            }
        }
    }

    /// Takes the closing bracket (true) or a comma (false).
    fn ends(&mut self, close: u8, context: &str) -> Result<bool, Error> {
        let byte = self.significant()?;
        if byte != close && byte != b',' {
            return Err(unexpected(byte, context));
        }
        self.at += 1;
        Ok(byte == close)
    }

    fn literal(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, Error> {
        for expected in word.bytes() {
            let found = self.next()?;
            if found != expected {
                let context = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(unexpected(found, &context));
            }
        }
        Ok(node)
    }

    fn number(&mut self) -> Result<Node<'a>, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        // A leading zero stands alone: what follows it is looked at by whoever comes next.
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        Ok(Node::Number(text))
    }

    /// One digit or more.
    fn digits(&mut self, context: &str) -> Result<(), Error> {
        let first = self.next()?;
        if !first.is_ascii_digit() {
            return Err(unexpected(first, context));
        }
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    /// A string from its opening quote on.
    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut text = String::new();
        let mut run = self.at;
        loop {
            match self.next()? {
                b'"' => {
                    push_replacing(&mut text, &self.bytes[run..self.at - 1]);
                    return Ok(text);
                }
                b'\\' => {
                    push_replacing(&mut text, &self.bytes[run..self.at - 1]);
                    text.push(self.escape()?);
                    run = self.at;
                }
                control @ 0..=0x1f => return Err(unexpected(control, "in string literal")),
                _ => {}
            }
        }
    }

    /// The character behind a backslash.
    fn escape(&mut self) -> Result<char, Error> {
        Ok(match self.next()? {
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            other => return Err(unexpected(other, "in string escape code")),
        })
    }

    /// The character of `\uXXXX`, or of two that make a surrogate pair. Half a pair is replaced.
    fn code_point(&mut self) -> Result<char, Error> {
        let first = self.hexadecimal()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.next()?;
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| unexpected(byte, "in \\u hexadecimal character escape"))?;
            code = code * 16 + digit;
        }
        Ok(code)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, Error> {
        let byte = self.peek().ok_or(Error::UnexpectedEof)?;
        self.at += 1;
        Ok(byte)
    }

    pub(super) fn peek_past_space(&mut self) -> Option<u8> {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.peek()
    }

    /// The next byte that is no space, not taken.
    fn significant(&mut self) -> Result<u8, Error> {
        self.peek_past_space().ok_or(Error::UnexpectedEof)
    }
}

/// Appends text, each byte that is not UTF-8 replaced by U+FFFD as Go does (Rust's lossy
/// conversion replaces whole sequences).
fn push_replacing(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Go's scanner works on bytes, so a byte above 0x7f is shown as the Latin-1 character.
fn unexpected(byte: u8, context: &str) -> Error {
    let shown = match byte {
        b'\'' => "\\'".to_owned(),
        b'\\' => "\\\\".to_owned(),
        0x07 => "\\a".to_owned(),
        0x08 => "\\b".to_owned(),
        0x0b => "\\v".to_owned(),
        0x0c => "\\f".to_owned(),
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        0..=0x1f | 0x7f => format!("\\x{byte:02x}"),
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        _ => char::from(byte).to_string(),
    };
    Error::Syntax(format!("invalid character '{shown}' {context}"))
}
