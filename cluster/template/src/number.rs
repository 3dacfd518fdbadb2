//! Number literals, by Go's rules: prefixes, underscores, hexadecimal floats, and which spelling makes a float.

use crate::tree::Number;

/// The number that a literal stands for. Complex numbers are refused: nothing in a spec's context has a use for one.
pub(crate) fn parse(literal: &str) -> Result<Number, String> {
    let illegal = || format!("illegal number syntax: {literal:?}");
    let unsigned = parse_unsigned(literal);
    let integer = parse_signed(literal);
    let float_spelling = literal.contains(['.', 'e', 'E', 'p', 'P']);
    if let Some(integer) = integer {
        // A float's spelling wins, except in plain hexadecimal, where `e` is a digit. With a sign in front Go
        // overlooks that, so `-0xE` is a float.
        return Ok(if float_spelling && !is_hex_integer(literal) {
            Number::Float(integer as f64)
        } else {
            Number::Int(integer)
        });
    }
    if unsigned.is_some() {
        return Ok(Number::TooLarge);
    }
    let float = parse_float(literal).ok_or_else(illegal)?;
    if !float_spelling {
        return Err(format!("integer overflow: {literal:?}"));
    }
    Ok(Number::Float(float))
}

fn is_hex_integer(literal: &str) -> bool {
    literal.len() > 2
        && (literal.starts_with("0x") || literal.starts_with("0X"))
        && !literal.contains(['p', 'P'])
}

fn parse_signed(literal: &str) -> Option<i64> {
    let magnitude = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    let magnitude = i128::from(parse_unsigned(magnitude)?);
    let value = if literal.starts_with('-') {
        -magnitude
    } else {
        magnitude
    };
    i64::try_from(value).ok()
}

fn parse_unsigned(literal: &str) -> Option<u64> {
    let (digits, base) = match literal.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&literal[2..], 16),
        [b'0', b'b' | b'B', ..] => (&literal[2..], 2),
        [b'0', b'o' | b'O', ..] => (&literal[2..], 8),
        [b'0', _, ..] => (&literal[1..], 8),
        _ => (literal, 10),
    };
    if digits.starts_with(['+', '-']) || !underscores_fit(literal) {
        return None;
    }
    u64::from_str_radix(&digits.replace('_', ""), base).ok()
}

fn parse_float(literal: &str) -> Option<f64> {
    if !underscores_fit(literal) {
        return None;
    }
    let plain = literal.replace('_', "");
    let magnitude = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let value = match magnitude
        .strip_prefix("0x")
        .or(magnitude.strip_prefix("0X"))
    {
        Some(hex) => parse_hex_float(hex)?,
        None if magnitude.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            magnitude.parse().ok()?
        }
        None => return None,
    };
    let value: f64 = if plain.starts_with('-') {
        -value
    } else {
        value
    };
    value.is_finite().then_some(value)
}

/// `1.8p3`: the exponent is not optional.
fn parse_hex_float(hex: &str) -> Option<f64> {
    let (mantissa, exponent) = hex.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    // 52 bits fit a float exactly; longer literals, which Go would round, do not occur.
    let bits = u64::from_str_radix(&digits, 16)
        .ok()
        .filter(|bits| *bits < 1 << 53)?;
    let scale = exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    Some(bits as f64 * 2f64.powi(scale))
}

/// Underscores part digits, and may follow a base prefix.
fn underscores_fit(literal: &str) -> bool {
    let bare = literal.strip_prefix(['+', '-']).unwrap_or(literal);
    let prefixed = matches!(
        bare.as_bytes(),
        [b'0', b'x' | b'X' | b'b' | b'B' | b'o' | b'O', ..]
    );
    let (number, mut last) = if prefixed {
        (&bare[2..], '0')
    } else {
        (bare, '^')
    };
    let hex = bare.starts_with("0x") || bare.starts_with("0X");
    for letter in number.chars() {
        let class = match letter {
            '0'..='9' => '0',
            _ if hex && letter.is_ascii_hexdigit() => '0',
            '_' if last == '0' => '_',
            _ if letter == '_' || last == '_' => return false,
            _ => '!',
        };
        last = class;
    }
    last != '_'
}
