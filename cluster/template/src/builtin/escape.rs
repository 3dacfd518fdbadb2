//! `html`, `js` and `urlquery`.

use crate::limit::Buffer;
use crate::quote::{decode, is_print};
use crate::value::Value;

pub(super) fn html(text: &[u8]) -> Result<Value, String> {
    let mut out = Buffer::default();
    for byte in text {
        match byte {
            0 => out.push("\u{fffd}".as_bytes()),
            b'"' => out.push(b"&#34;"),
            b'\'' => out.push(b"&#39;"),
            b'&' => out.push(b"&amp;"),
            b'<' => out.push(b"&lt;"),
            b'>' => out.push(b"&gt;"),
            _ => out.push(&[*byte]),
        }
    }
    out.finish().map(Value::bytes)
}

pub(super) fn js(text: &[u8]) -> Result<Value, String> {
    let mut out = Buffer::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (letter, size) = decode(rest);
        let (unit, tail) = rest.split_at(size);
        match letter {
            '\\' => out.push(b"\\\\"),
            '\'' => out.push(b"\\'"),
            '"' => out.push(b"\\\""),
            '<' | '>' | '&' | '=' | '\0'..' ' => out.push(unicode_escape(letter).as_bytes()),
            _ if letter.is_ascii() || is_print(letter) => out.push(unit),
            _ => out.push(unicode_escape(letter).as_bytes()),
        }
        rest = tail;
    }
    out.finish().map(Value::bytes)
}

fn unicode_escape(letter: char) -> String {
    format!("\\u{:04X}", u32::from(letter))
}

pub(super) fn url_query(text: &[u8]) -> Result<Value, String> {
    let mut out = Buffer::default();
    for byte in text {
        match byte {
            b' ' => out.push(b"+"),
            b'-' | b'_' | b'.' | b'~' => out.push(&[*byte]),
            _ if byte.is_ascii_alphanumeric() => out.push(&[*byte]),
            _ => out.push(format!("%{byte:02X}").as_bytes()),
        }
    }
    out.finish().map(Value::bytes)
}
