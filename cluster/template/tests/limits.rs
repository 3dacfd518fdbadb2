//! No template takes the process with it: not by looping, growing or nesting, and not by being nonsense.

use std::thread;

use proptest::prelude::*;
use swarmrs_template::{Context, Error, expand};

/// Expands on a small stack, so that the ceilings are proven to fit one.
fn expand_on_a_small_stack(template: String) -> Result<String, Error> {
    let run = move || expand(&template, &Context::default());
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(run);
    let thread = thread.expect("a thread can be started");
    thread.join().expect("no template panics")
}

fn refused(template: String) -> String {
    let result = expand_on_a_small_stack(template);
    result.expect_err("the template is refused").to_string()
}

#[test]
fn a_template_that_calls_itself_for_ever_is_stopped() {
    let error = refused("{{define `a`}}{{template `a` .}}{{end}}{{template `a` .}}".into());
    assert!(
        error.ends_with("exceeded maximum template depth (200)"),
        "{error}"
    );
}

#[test]
fn recursion_through_nested_blocks_is_stopped_as_well() {
    let nested = format!(
        "{}{{{{template `a` .}}}}{}",
        "{{if 1}}".repeat(90),
        "{{end}}".repeat(90)
    );
    let error = refused(format!(
        "{{{{define `a`}}}}{nested}{{{{end}}}}{{{{template `a` .}}}}"
    ));
    assert!(error.contains("exceeded maximum template depth"), "{error}");
}

#[test]
fn deep_parentheses_and_blocks_are_refused_by_the_parser() {
    let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(
        refused(parentheses),
        "template: expansion:1: max expression depth exceeded"
    );
    let blocks = "{{if 1}}".repeat(50_000);
    assert_eq!(
        refused(blocks),
        "template: expansion:1: max expression depth exceeded"
    );
}

#[test]
fn nesting_below_the_ceiling_runs_on_a_small_stack() {
    let template = format!("{{{{{}1{}}}}}", "(print ".repeat(90), ")".repeat(90));
    assert_eq!(expand_on_a_small_stack(template), Ok("1".to_owned()));
}

#[test]
fn a_loop_without_end_is_stopped() {
    let error = refused("{{range 9000000000000000000}}{{end}}".into());
    assert!(
        error.ends_with("the template takes too many steps"),
        "{error}"
    );
}

#[test]
fn a_result_beyond_the_ceiling_is_refused() {
    let error = refused("{{range 100}}{{printf `%1000000d` 1}}{{end}}".into());
    assert!(
        error.ends_with("the result is longer than 8388608 bytes"),
        "{error}"
    );
}

#[test]
fn a_value_that_doubles_for_ever_is_refused() {
    let error = refused("{{$x := `0123456789`}}{{range 100}}{{$x = print $x $x}}{{end}}".into());
    assert!(
        error.ends_with("the result is longer than 8388608 bytes"),
        "{error}"
    );
}

#[test]
fn more_variables_than_anyone_needs_are_refused() {
    assert_eq!(
        refused("{{$x := 1}}".repeat(2000)),
        "template: expansion:1: too many variables"
    );
}

/// Pieces that make templates which get past the lexer more often than random text does.
const PIECES: &[&str] = &[
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "if ",
    "else ",
    "end",
    "{{end}}",
    "{{else}}",
    "range ",
    "with ",
    "define `a`",
    "template `a`",
    "block `b` ",
    "break",
    "continue",
    " ",
    ".",
    "$",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ",",
    ".Service",
    ".Labels",
    ".Name",
    ".X",
    "1",
    "-1",
    "1.5",
    "`é`",
    "\"%08.3f\"",
    "'a'",
    "nil",
    "true",
    "print ",
    "printf ",
    "index ",
    "slice ",
    "eq ",
    "lt ",
    "join ",
    "html ",
    "and ",
    "\n",
    "/*",
    "*/",
    "é",
    "\u{0}",
];

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = expand(&text, &Context::default());
    }

    #[test]
    fn no_action_panics(text in ".{0,40}") {
        let _ = expand(&format!("{{{{{text}}}}}"), &Context::default());
    }

    #[test]
    fn no_string_of_pieces_panics(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..25)) {
        let _ = expand(&pieces.concat(), &Context::default());
    }

    #[test]
    fn no_format_panics(format in "[%a-zA-Z0-9\\[\\]*.+# -]{0,12}", number in any::<i64>(), float in any::<f64>()) {
        let template = format!("{{{{printf `{format}` {number} {float:?} `é` nil .}}}}");
        let _ = expand(&template, &Context::default());
    }

    #[test]
    fn text_without_actions_is_kept(text in "[^{]{0,60}") {
        prop_assert_eq!(expand(&text, &Context::default()), Ok(text));
    }
}
