//! Values into bytes, as Go's `fmt` does it: plainly for actions and `print`, by verbs for `printf`.

mod float;
mod integer;
mod text;
mod verb;

use crate::limit::Buffer;
use crate::value::Value;

pub(crate) use verb::sprintf;

/// The flags of one verb, and the output.
#[derive(Default)]
struct Printer {
    out: Buffer,
    flags: Flags,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    width: Option<usize>,
    precision: Option<usize>,
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v` and `%#v`, which are not the flags `+` and `#`.
    names: bool,
    syntax: bool,
}

/// What an action prints. A pointer prints as what it points at, nothing as `<no value>`.
pub(crate) fn print_action(value: &Value) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    printer.indirect(value);
    printer.out.finish()
}

/// `print`: a space between two neighbours of which neither is a string.
pub(crate) fn sprint(values: &[Value]) -> Result<Vec<u8>, String> {
    spaced(values, is_text, Printer::plain)
}

/// The arguments of `html` and its kin: like [`sprint`], each printed as an action would print it, nil a string too.
pub(crate) fn sprint_arguments(values: &[Value]) -> Result<Vec<u8>, String> {
    let is_string = |value: &Value| is_text(value) || matches!(value, Value::Nil);
    spaced(values, is_string, Printer::indirect)
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

fn spaced(
    values: &[Value],
    is_string: impl Fn(&Value) -> bool,
    print: impl Fn(&mut Printer, &Value),
) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    let mut after_text = true;
    for value in values {
        let text = is_string(value);
        if !text && !after_text {
            printer.out.push(b" ");
        }
        print(&mut printer, value);
        after_text = text;
        if printer.out.is_full() {
            break;
        }
    }
    printer.out.finish()
}

/// `println`: a space between all, a line feed at the end.
pub(crate) fn sprintln(values: &[Value]) -> Result<Vec<u8>, String> {
    let mut printer = Printer::default();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.out.push(b" ");
        }
        printer.plain(value);
        if printer.out.is_full() {
            break;
        }
    }
    printer.out.push(b"\n");
    printer.out.finish()
}

/// A value inside of an error text.
pub(crate) fn display(value: &Value) -> String {
    let mut printer = Printer::default();
    printer.plain(value);
    let bytes = printer.out.finish().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Printer {
    /// `%v` without flags.
    fn plain(&mut self, value: &Value) {
        self.argument(value, 'v');
    }

    fn indirect(&mut self, value: &Value) {
        match value {
            Value::Nil => self.out.push(b"<no value>"),
            Value::Record(record) if record.is_pointer() => self.record(record, 'v'),
            _ => self.plain(value),
        }
    }
}
