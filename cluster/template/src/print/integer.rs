//! Integers, in all bases and as characters.

use super::Printer;
use crate::quote::{is_print, quote_char};

impl Printer {
    pub(super) fn byte(&mut self, byte: u8, verb: char) {
        if verb == 'v' && self.flags.syntax {
            let sharp = std::mem::replace(&mut self.flags.sharp, true);
            self.integer(i64::from(byte), 'x');
            self.flags.sharp = sharp;
            return;
        }
        self.integer(i64::from(byte), verb);
    }

    pub(super) fn integer(&mut self, number: i64, verb: char) {
        let letter = u32::try_from(number).ok().and_then(char::from_u32);
        let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
        match verb {
            'c' => self.pad(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => self.pad(quote_char(letter, self.flags.plus).as_bytes()),
            'U' => self.code_point(number),
            _ => self.digits(number, verb),
        }
    }

    fn digits(&mut self, number: i64, verb: char) {
        let magnitude = number.unsigned_abs();
        let digits = match verb {
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let sign = match number {
            ..0 => "-",
            _ if self.flags.plus => "+",
            _ if self.flags.space => " ",
            _ => "",
        };
        let least = match (self.flags.precision, self.flags.width) {
            // Zero to no places is nothing at all.
            (Some(0), _) if number == 0 => {
                let zero = std::mem::replace(&mut self.flags.zero, false);
                self.fill(self.flags.width.unwrap_or(0));
                self.flags.zero = zero;
                return;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if self.flags.zero && !self.flags.minus => {
                width.saturating_sub(sign.len())
            }
            _ => 0,
        };
        let padded = format!("{}{digits}", "0".repeat(least.saturating_sub(digits.len())));
        let prefix = match verb {
            'O' if self.flags.sharp && !padded.starts_with('0') => "0o0",
            'O' => "0o",
            'b' if self.flags.sharp => "0b",
            'o' if self.flags.sharp && !padded.starts_with('0') => "0",
            'x' if self.flags.sharp => "0x",
            'X' if self.flags.sharp => "0X",
            _ => "",
        };
        self.pad_spaces(&format!("{sign}{prefix}{padded}"));
    }

    /// `U+0041`, with `#` also the character.
    fn code_point(&mut self, number: i64) {
        let places = self.flags.precision.unwrap_or(4).max(4);
        let code = format!("{number:X}");
        let mut text = format!("U+{}{code}", "0".repeat(places.saturating_sub(code.len())));
        let letter = u32::try_from(number).ok().and_then(char::from_u32);
        if let Some(letter) = letter.filter(|letter| self.flags.sharp && is_print(*letter)) {
            text.push_str(&format!(" '{letter}'"));
        }
        self.pad_spaces(&text);
    }

    /// Pads with spaces even if the zero flag is set, since zeros are in place already.
    fn pad_spaces(&mut self, text: &str) {
        let zero = std::mem::replace(&mut self.flags.zero, false);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }
}
