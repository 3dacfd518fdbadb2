//! How values are spelled in answers, where Go spells them otherwise than `serde_json`.

use serde_json::ser::Formatter;
use std::{fmt, io};

/// Where Go's text differs from `serde_json`'s: floats without a needless fraction, and the two
/// line separators of JavaScript escaped.
pub(super) struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_f32<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f32) -> io::Result<()> {
        let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
        out.write_all(go_float(plain, &value).as_bytes())
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
        out.write_all(go_float(plain, &value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            let escape = if from.starts_with('\u{2028}') {
                b"\\u2028"
            } else {
                b"\\u2029"
            };
            out.write_all(escape)?;
            rest = &from['\u{2028}'.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

/// Shortest digits; an exponent only for the very small and large, with its sign.
fn go_float(plain: bool, value: &(impl fmt::Display + fmt::LowerExp)) -> String {
    if plain {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
        _ => text,
    }
}
