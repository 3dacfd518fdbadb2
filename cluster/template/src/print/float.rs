//! Floats: `%e`, `%f`, `%g`, which picks between them, and the forms in base two and sixteen.

use super::Printer;

/// The bits of a float's fraction, and where its one is put while it is rounded in base sixteen.
const FRACTION: u32 = 52;
const ONE: u32 = 60;

/// From this power of ten on, the shortest form has an exponent.
const SHORTEST_LIMIT: i32 = 6;

impl Printer {
    pub(super) fn float(&mut self, number: f64, verb: char) {
        let magnitude = number.abs();
        let precision = self.flags.precision;
        let text = match verb {
            'e' | 'E' => exponent_form(&format!("{:.*e}", precision.unwrap_or(6), magnitude)),
            'f' | 'F' => format!("{:.*}", precision.unwrap_or(6), magnitude),
            'b' => binary(magnitude),
            'x' | 'X' => hexadecimal(magnitude, precision),
            _ => general(magnitude, precision),
        };
        let text = match self.flags.sharp && verb != 'b' {
            true => with_point(&text, verb, precision),
            false => text,
        };
        let text = if verb.is_ascii_uppercase() {
            text.to_uppercase()
        } else {
            text
        };
        let sign = match number.is_sign_negative() {
            true => "-",
            false if self.flags.plus => "+",
            false if self.flags.space => " ",
            false => "",
        };
        let width = self.flags.width.unwrap_or(0);
        if self.flags.zero && !self.flags.minus && !sign.is_empty() && width > text.len() + 1 {
            // The sign stands before the zeros.
            self.out.push(sign.as_bytes());
            self.fill(width - text.len() - 1);
            self.out.push(text.as_bytes());
            return;
        }
        self.pad(format!("{sign}{text}").as_bytes());
    }
}

/// Rust writes `1.5e2`, Go `1.5e+02`.
fn exponent_form(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: as few digits as tell the number apart, or `precision` of them less trailing zeros.
fn general(magnitude: f64, precision: Option<usize>) -> String {
    let scientific = match precision {
        None => format!("{magnitude:e}"),
        Some(precision) => format!("{:.*e}", precision.max(1) - 1, magnitude),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let digits = i32::try_from(
        mantissa
            .len()
            .saturating_sub(usize::from(mantissa.len() > 1)),
    )
    .unwrap_or(i32::MAX);
    let limit = match precision {
        None => SHORTEST_LIMIT,
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            // All digits stand before the point: no exponent is needed for them.
            if precision > digits && digits > exponent {
                digits
            } else {
                precision
            }
        }
    };
    if exponent < -4 || exponent >= limit {
        return exponent_form(&format!("{mantissa}e{exponent}"));
    }
    let places = usize::try_from(digits - 1 - exponent).unwrap_or(0);
    let value: f64 = format!("{mantissa}e{exponent}")
        .parse()
        .unwrap_or(magnitude);
    format!("{value:.places$}")
}

/// A float as a whole number times a power of two.
fn decompose(magnitude: f64) -> (u64, i32) {
    let bits = magnitude.to_bits();
    let fraction = bits & ((1 << FRACTION) - 1);
    match i32::try_from(bits >> FRACTION).unwrap_or(0) {
        0 => (fraction, -1074),
        exponent => (fraction | 1 << FRACTION, exponent - 1075),
    }
}

/// `%b`: `6755399441055744p-52`.
fn binary(magnitude: f64) -> String {
    let (mantissa, exponent) = decompose(magnitude);
    format!("{mantissa}p{exponent:+}")
}

/// `%x`: `0x1.8p+00`, rounded half to even if there is a precision.
fn hexadecimal(magnitude: f64, precision: Option<usize>) -> String {
    let (mut mantissa, mut exponent) = decompose(magnitude);
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() - (63 - ONE);
        mantissa <<= shift;
        exponent += i32::try_from(ONE - shift).unwrap_or(0);
    }
    let places = precision.and_then(|precision| u32::try_from(precision).ok());
    if let Some(places) = places.filter(|places| *places < 15) {
        let dropped = ONE - 4 * places;
        let half = 1 << (dropped - 1);
        let rest = mantissa & ((1 << dropped) - 1);
        mantissa >>= dropped;
        mantissa += u64::from(rest > half || (rest == half && mantissa & 1 == 1));
        mantissa <<= dropped;
        if mantissa >> (ONE + 1) == 1 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << ONE) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(places) => format!("{digits:0<places$}")[..places].to_owned(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let whole = mantissa >> ONE;
    format!(
        "0x{whole}{point}{digits}p{sign}{:02}",
        exponent.unsigned_abs()
    )
}

/// The `#` flag: always a decimal point, and for `%g` and `%x` the zeros that were dropped. Go counts the `x` of `0x` as
/// one of the digits.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let hex = matches!(verb, 'x' | 'X');
    let tail = text.find(if hex { 'p' } else { 'e' }).unwrap_or(text.len());
    let (number, tail) = text.split_at(tail);
    let wanted = match verb {
        'e' | 'E' | 'f' | 'F' | 'X' => 0,
        _ => precision.unwrap_or(6),
    };
    let significant = number
        .chars()
        .filter(|letter| *letter != '.')
        .skip_while(|letter| *letter == '0');
    let mut present = significant.count();
    let mut number = number.to_owned();
    if !number.contains('.') {
        present += usize::from(number == "0");
        number.push('.');
    }
    number.push_str(&"0".repeat(wanted.saturating_sub(present)));
    number + tail
}
