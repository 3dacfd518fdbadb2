//! Strings, and the padding that all share.

use super::Printer;
use crate::quote::{can_backquote, decode, quote, quote_ascii};

impl Printer {
    /// Writes `bytes` in the width asked for, counted in characters.
    pub(super) fn pad(&mut self, bytes: &[u8]) {
        let length = count(bytes);
        let missing = self.flags.width.unwrap_or(0).saturating_sub(length);
        if self.flags.minus {
            self.out.push(bytes);
            self.out.pad(b' ', missing);
        } else {
            self.fill(missing);
            self.out.push(bytes);
        }
    }

    /// Padding on the left.
    pub(super) fn fill(&mut self, missing: usize) {
        let byte = if self.flags.zero && !self.flags.minus {
            b'0'
        } else {
            b' '
        };
        self.out.pad(byte, missing);
    }

    pub(super) fn string(&mut self, text: &[u8], verb: char) {
        match verb {
            'x' | 'X' => self.hex(text, verb),
            'q' => self.quoted(text),
            'v' if self.flags.syntax => self.quoted(text),
            _ => self.pad(self.cut(text)),
        }
    }

    /// The first characters, as many as the precision says.
    fn cut<'b>(&self, text: &'b [u8]) -> &'b [u8] {
        let Some(precision) = self.flags.precision else {
            return text;
        };
        let mut end = 0;
        for _ in 0..precision {
            if end == text.len() {
                break;
            }
            end += decode(&text[end..]).1;
        }
        &text[..end]
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.cut(text);
        let quoted = if self.flags.sharp && can_backquote(text) {
            format!("`{}`", String::from_utf8_lossy(text))
        } else if self.flags.plus {
            quote_ascii(text)
        } else {
            quote(text)
        };
        self.pad(quoted.as_bytes());
    }

    /// Two digits a byte; `#` puts `0x` in front of all, with a space flag in front of each.
    fn hex(&mut self, text: &[u8], verb: char) {
        let text = &text[..self.flags.precision.unwrap_or(text.len()).min(text.len())];
        let prefix = match verb {
            _ if !self.flags.sharp => "",
            'x' => "0x",
            _ => "0X",
        };
        let mut digits = String::new();
        for (index, byte) in text.iter().enumerate() {
            if index > 0 && self.flags.space {
                digits.push(' ');
            }
            if index == 0 || self.flags.space {
                digits.push_str(prefix);
            }
            digits.push_str(&match verb {
                'x' => format!("{byte:02x}"),
                _ => format!("{byte:02X}"),
            });
        }
        self.pad(digits.as_bytes());
    }
}

/// The number of characters; bytes that are not UTF-8 count one each.
fn count(bytes: &[u8]) -> usize {
    let chunks = bytes.utf8_chunks();
    chunks
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum()
}
