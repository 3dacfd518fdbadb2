//! `printf`: the format's grammar, and which verb suits which value.
//!
//! Mistakes are printed, not refused, as in Go: `%!d(string=hi)`, `%!s(MISSING)`, `%!(EXTRA int=1)`.

use super::{Flags, Printer};
use crate::quote::decode;
use crate::value::{Record, Value};

/// Widths and precisions beyond this are mistakes.
const LARGEST: i64 = 1_000_000;

/// `format` with its verbs replaced by `values`.
pub(crate) fn sprintf(format: &[u8], values: &[Value]) -> Result<Vec<u8>, String> {
    let mut reader = Reader {
        printer: Printer::default(),
        rest: format,
        values,
        next: 0,
        reordered: false,
        good_index: true,
    };
    reader.format();
    reader.printer.out.finish()
}

struct Reader<'f> {
    printer: Printer,
    rest: &'f [u8],
    values: &'f [Value],
    /// The value that the next verb takes.
    next: usize,
    /// An index such as `%[2]d` was seen; then unused values are no mistake.
    reordered: bool,
    good_index: bool,
}

impl Reader<'_> {
    fn format(&mut self) {
        while !self.rest.is_empty() && !self.printer.out.is_full() {
            let text = self.rest.iter().take_while(|byte| **byte != b'%').count();
            let (text, rest) = self.rest.split_at(text);
            self.printer.out.push(text);
            self.rest = rest;
            if let [b'%', rest @ ..] = rest {
                self.rest = rest;
                self.verb();
            }
        }
        if !self.reordered && self.next < self.values.len() {
            self.extra();
        }
    }

    fn verb(&mut self) {
        self.good_index = true;
        self.printer.flags = self.flags();
        let mut after_index = self.index();
        after_index = self.width(after_index);
        after_index = self.precision(after_index);
        if !after_index {
            self.index();
        }
        if self.rest.is_empty() {
            self.printer.out.push(b"%!(NOVERB)");
            return;
        }
        let (verb, size) = decode(self.rest);
        self.rest = &self.rest[size..];
        match self.values.get(self.next) {
            _ if verb == '%' => self.printer.out.push(b"%"),
            _ if !self.good_index => self.printer.complain(verb, "BADINDEX"),
            None => self.printer.complain(verb, "MISSING"),
            Some(value) => {
                self.next += 1;
                self.printer.verb(value, verb);
            }
        }
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let [first, rest @ ..] = self.rest {
            match first {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.rest = rest;
        }
        flags
    }

    /// `[n]`. True if there was one, even a bad one that at least was closed.
    fn index(&mut self) -> bool {
        let [b'[', inner @ ..] = self.rest else {
            return false;
        };
        self.reordered = true;
        let Some(end) = inner
            .iter()
            .position(|byte| *byte == b']')
            .filter(|_| self.rest.len() >= 3)
        else {
            self.good_index = false;
            self.rest = inner;
            return false;
        };
        let (digits, after) = number(&inner[..end]);
        self.rest = &inner[end + 1..];
        let index = digits.filter(|_| after.is_empty());
        let chosen = index.and_then(|index| index.checked_sub(1));
        match chosen.filter(|chosen| *chosen < self.values.len()) {
            Some(chosen) => self.next = chosen,
            None => self.good_index = false,
        }
        index.is_some()
    }

    fn width(&mut self, after_index: bool) -> bool {
        if let [b'*', rest @ ..] = self.rest {
            self.rest = rest;
            match self.number_argument() {
                Some(width) => {
                    self.printer.flags.width = usize::try_from(width.unsigned_abs()).ok();
                    if width < 0 {
                        self.printer.flags.minus = true;
                        self.printer.flags.zero = false;
                    }
                }
                None => self.printer.out.push(b"%!(BADWIDTH)"),
            }
            return false;
        }
        let (width, rest) = number(self.rest);
        self.rest = rest;
        self.printer.flags.width = width;
        if after_index && width.is_some() {
            self.good_index = false;
        }
        after_index
    }

    fn precision(&mut self, after_index: bool) -> bool {
        let [b'.', rest @ ..] = self.rest else {
            return after_index;
        };
        if rest.is_empty() {
            return after_index;
        }
        self.rest = rest;
        if after_index {
            self.good_index = false;
        }
        let after_index = self.index();
        if let [b'*', rest @ ..] = self.rest {
            self.rest = rest;
            let precision = self.number_argument();
            self.printer.flags.precision =
                precision.and_then(|number| usize::try_from(number).ok());
            if self.printer.flags.precision.is_none() {
                self.printer.out.push(b"%!(BADPREC)");
            }
            return false;
        }
        let (precision, rest) = number(self.rest);
        self.rest = rest;
        self.printer.flags.precision = Some(precision.unwrap_or(0));
        after_index
    }

    /// The value for a `*`.
    fn number_argument(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        let number = match value {
            Value::Int(number) => *number,
            Value::Byte(byte) => i64::from(*byte),
            _ => return None,
        };
        (-LARGEST..=LARGEST).contains(&number).then_some(number)
    }

    fn extra(&mut self) {
        self.printer.flags = Flags::default();
        self.printer.out.push(b"%!(EXTRA ");
        for (index, value) in self.values[self.next..].iter().enumerate() {
            if index > 0 {
                self.printer.out.push(b", ");
            }
            if !matches!(value, Value::Nil) {
                self.printer.out.push(value.type_name().as_bytes());
                self.printer.out.push(b"=");
            }
            self.printer.argument(value, 'v');
            if self.printer.out.is_full() {
                return;
            }
        }
        self.printer.out.push(b")");
    }
}

/// Leading digits as a number, and what is after them. One that is too large counts as none, and its digits up to there are gone.
fn number(text: &[u8]) -> (Option<usize>, &[u8]) {
    let mut value: i64 = 0;
    let mut rest = text;
    let mut found = false;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        if value > LARGEST {
            return (None, &[]);
        }
        value = value * 10 + i64::from(digit - b'0');
        found = true;
        rest = after;
    }
    let number = usize::try_from(value).ok().filter(|_| found);
    (number, rest)
}

impl Printer {
    /// A verb as written, whose `+` and `#` mean something else for `v`.
    fn verb(&mut self, value: &Value, verb: char) {
        if verb == 'v' || verb == 'w' {
            self.flags.syntax = self.flags.sharp;
            self.flags.names = self.flags.plus;
            self.flags.sharp = false;
            self.flags.plus = false;
        }
        match verb {
            'T' if matches!(value, Value::Nil) => self.pad(b"<nil>"),
            'T' => self.string(value.type_name().as_bytes(), 's'),
            _ => self.argument(value, verb),
        }
    }

    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil if verb == 'v' => self.pad(b"<nil>"),
            Value::Record(record) if record.is_pointer() && verb != 'p' => {
                self.out.push(b"&");
                self.record(record, verb);
            }
            _ => self.element(value, verb),
        }
    }

    fn element(&mut self, value: &Value, verb: char) {
        let suits = match value {
            Value::Nil => false,
            Value::Bool(_) => "vt".contains(verb),
            Value::Int(_) | Value::Byte(_) => "vdboOxXcqU".contains(verb),
            Value::Float(_) => "vbeEfFgGxX".contains(verb),
            Value::Text(_) => "vsxXq".contains(verb),
            Value::Map(_) | Value::Record(_) => verb != 'p',
        };
        if !suits {
            return self.mismatch(value, verb);
        }
        match value {
            Value::Nil => {}
            Value::Bool(flag) => self.pad(flag.to_string().as_bytes()),
            Value::Int(number) => self.integer(*number, verb),
            Value::Byte(byte) => self.byte(*byte, verb),
            Value::Float(number) => self.float(*number, verb),
            Value::Text(text) => self.string(text, verb),
            Value::Map(map) => {
                let pairs = map.iter().map(|(key, value)| (&**key, &**value));
                self.map(pairs, verb);
            }
            Value::Record(record) => self.record(record, verb),
        }
    }

    fn map<'m>(&mut self, pairs: impl ExactSizeIterator<Item = (&'m [u8], &'m [u8])>, verb: char) {
        let (open, between, close): (&[u8], &[u8], &[u8]) = match self.flags.syntax {
            true if pairs.len() == 0 => (b"map[string]string(nil)", b"", b""),
            true => (b"map[string]string{", b", ", b"}"),
            false => (b"map[", b" ", b"]"),
        };
        self.out.push(open);
        for (index, (key, value)) in pairs.enumerate() {
            if index > 0 {
                self.out.push(between);
            }
            self.element(&Value::Text(key.into()), verb);
            self.out.push(b":");
            self.element(&Value::Text(value.into()), verb);
            if self.out.is_full() {
                return;
            }
        }
        self.out.push(close);
    }

    pub(super) fn record(&mut self, record: &Record, verb: char) {
        if self.flags.syntax {
            self.out.push(record.target_name().as_bytes());
        }
        self.out.push(b"{");
        for (index, (name, value)) in record.fields.iter().enumerate() {
            if index > 0 {
                self.out.push(if self.flags.syntax { b", " } else { b" " });
            }
            if self.flags.syntax || self.flags.names {
                self.out.push(name.as_bytes());
                self.out.push(b":");
            }
            self.element(value, verb);
        }
        self.out.push(b"}");
    }

    /// `%!d(string=hi)`: the verb does not suit the value.
    fn mismatch(&mut self, value: &Value, verb: char) {
        self.out.push(format!("%!{verb}(").as_bytes());
        if !matches!(value, Value::Nil) {
            self.out.push(value.type_name().as_bytes());
            self.out.push(b"=");
            self.argument(value, 'v');
        } else {
            self.out.push(b"<nil>");
        }
        self.out.push(b")");
    }

    fn complain(&mut self, verb: char, what: &str) {
        self.out.push(format!("%!{verb}({what})").as_bytes());
    }
}
