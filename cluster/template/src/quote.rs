//! Go's quoting of strings and characters, both ways.
//!
//! Expressions are printed back in error texts and by `%q`, so the escapes are Go's: `\x00`, `\u200b`, `\U000e0001`, and
//! `\x` for each byte that is not UTF-8.

/// `text` as a Go string literal in double quotes.
pub(crate) fn quote(text: &[u8]) -> String {
    quote_with(text, '"', false)
}

/// The same with every character beyond ASCII escaped (`%+q`).
pub(crate) fn quote_ascii(text: &[u8]) -> String {
    quote_with(text, '"', true)
}

/// A character constant in single quotes.
pub(crate) fn quote_char(letter: char, ascii: bool) -> String {
    quote_with(letter.encode_utf8(&mut [0; 4]).as_bytes(), '\'', ascii)
}

fn quote_with(text: &[u8], mark: char, ascii: bool) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for chunk in text.utf8_chunks() {
        for letter in chunk.valid().chars() {
            escape(&mut quoted, letter, mark, ascii);
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push(mark);
    quoted
}

fn escape(quoted: &mut String, letter: char, mark: char, ascii: bool) {
    if letter == mark || letter == '\\' {
        quoted.push('\\');
        quoted.push(letter);
        return;
    }
    if is_print(letter) && (!ascii || letter.is_ascii()) {
        quoted.push(letter);
        return;
    }
    let code = u32::from(letter);
    match letter {
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        _ if code < 0x20 || code == 0x7f => quoted.push_str(&format!("\\x{code:02x}")),
        _ if code < 0x10000 => quoted.push_str(&format!("\\u{code:04x}")),
        _ => quoted.push_str(&format!("\\U{code:08x}")),
    }
}

/// Whether Go calls the character printable: letters, marks, numbers, punctuation, symbols and the ASCII space. The
/// standard library's own escaping draws the same line, except that it escapes a combining mark at the start of a text;
/// a letter in front avoids that.
pub(crate) fn is_print(letter: char) -> bool {
    if matches!(letter, '"' | '\'' | '\\') {
        return true;
    }
    let pair: String = ['a', letter].into_iter().collect();
    pair.escape_debug().count() == 2
}

/// Whether `%#q` may print the text in back quotes.
pub(crate) fn can_backquote(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|letter| {
            letter == '\t' || !(letter < ' ' || matches!(letter, '`' | '\x7f' | '\u{feff}'))
        })
    })
}

/// The text of a string literal in double or back quotes. Errors are Go's.
pub(crate) fn unquote(literal: &[u8]) -> Result<Vec<u8>, String> {
    let [mark, inner @ .., _] = literal else {
        return Err(syntax());
    };
    if *mark == b'`' {
        // Go drops carriage returns from raw strings.
        return Ok(inner
            .iter()
            .copied()
            .filter(|byte| *byte != b'\r')
            .collect());
    }
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, tail) = unquote_unit(rest, b'"')?;
        match unit {
            Unit::Byte(byte) => text.push(byte),
            Unit::Char(letter) => {
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes())
            }
        }
        rest = tail;
    }
    Ok(text)
}

/// The code of a character constant such as `'a'`.
pub(crate) fn unquote_char(literal: &[u8]) -> Result<i64, String> {
    let (unit, tail) = unquote_unit(&literal[1..], b'\'')?;
    if tail != b"'" {
        let literal = String::from_utf8_lossy(literal);
        return Err(format!("malformed character constant: {literal}"));
    }
    Ok(match unit {
        Unit::Byte(byte) => i64::from(byte),
        Unit::Char(letter) => i64::from(u32::from(letter)),
    })
}

fn syntax() -> String {
    "invalid syntax".to_owned()
}

/// One element of a literal. `\x` and octal escapes make a byte, all else a character.
enum Unit {
    Byte(u8),
    Char(char),
}

fn unquote_unit(text: &[u8], mark: u8) -> Result<(Unit, &[u8]), String> {
    match text {
        [] => Err(syntax()),
        [first, ..] if *first == mark => Err(syntax()),
        [b'\\', code, rest @ ..] => unescape(*code, rest, mark),
        [b'\\'] => Err(syntax()),
        [first, rest @ ..] if first.is_ascii() => Ok((Unit::Byte(*first), rest)),
        _ => {
            let (letter, size) = decode(text);
            Ok((Unit::Char(letter), &text[size..]))
        }
    }
}

fn unescape(code: u8, rest: &[u8], mark: u8) -> Result<(Unit, &[u8]), String> {
    let byte = match code {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        b'\'' | b'"' if code == mark => code,
        b'x' => {
            let (value, rest) = digits(rest, 2, 16)?;
            let byte = u8::try_from(value).map_err(|_| syntax())?;
            return Ok((Unit::Byte(byte), rest));
        }
        b'u' | b'U' => {
            let (value, rest) = digits(rest, if code == b'u' { 4 } else { 8 }, 16)?;
            let letter = char::from_u32(value).ok_or_else(syntax)?;
            return Ok((Unit::Char(letter), rest));
        }
        b'0'..=b'7' => {
            let (value, rest) = digits(rest, 2, 8)?;
            let value = u32::from(code - b'0') * 64 + value;
            let byte = u8::try_from(value).map_err(|_| syntax())?;
            return Ok((Unit::Byte(byte), rest));
        }
        _ => return Err(syntax()),
    };
    Ok((Unit::Byte(byte), rest))
}

fn digits(text: &[u8], count: usize, base: u32) -> Result<(u32, &[u8]), String> {
    let (digits, rest) = text.split_at_checked(count).ok_or_else(syntax)?;
    let mut value: u32 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(base).ok_or_else(syntax)?;
        value = value.wrapping_mul(base).wrapping_add(digit);
    }
    Ok((value, rest))
}

/// The first character and its length; a byte that is not UTF-8 counts as U+FFFD of length 1. `text` is not empty.
pub(crate) fn decode(text: &[u8]) -> (char, usize) {
    let window = &text[..text.len().min(4)];
    let first = window.utf8_chunks().next();
    match first.and_then(|chunk| chunk.valid().chars().next()) {
        Some(letter) => (letter, letter.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}
