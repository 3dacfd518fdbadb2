//! Values inside messages, printed as Go prints them.

/// Go's `%q`: in double quotes, control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `%g` of billionths: the fewest digits, with an exponent from 10⁶ up and below 10⁻⁴.
pub(super) fn billionths(nanos: i64) -> String {
    let value = nanos as f64 / 1e9;
    let scientific = format!("{value:e}");
    let exponent = scientific
        .split_once('e')
        .and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)));
    match exponent {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_reads_as_gos() {
        assert_eq!(quoted("a\"b\\c\n\u{1}é"), r#""a\"b\\c\n\x01é""#);
    }

    #[test]
    fn a_share_of_a_cpu_reads_as_gos() {
        for (nanos, text) in [
            (500_000, "0.0005"),
            (100_000, "0.0001"),
            (99_999, "9.9999e-05"),
            (1, "1e-09"),
            (-1_000_000_000, "-1"),
            (-123_456_000_000_000, "-123456"),
            (-1_234_567_800_000_000, "-1.2345678e+06"),
        ] {
            assert_eq!(billionths(nanos), text);
        }
    }
}
