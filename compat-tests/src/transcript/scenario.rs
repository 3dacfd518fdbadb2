//! The text of a scenario.
//!
//! Blocks of lines with blank lines between them; `#` starts a comment line. A block is one step:
//!
//! ```text
//! an unknown service has no rows            its title; without one the command is the title
//! $ docker service ps @web@                 the stock command, or
//! > POST /v1.41/services/create             a raw API call
//! Content-Type: text/plain                  headers of the call (default: application/json if there is a body)
//! | {"Name": "web"}                         lines of the call's body, or of the command's standard input
//! until Running                             repeat until this pattern is in the raw output or error output;
//!                                           `until nothing`: until there is no output
//! in any order                              the order of the lines does not count
//! without dangling                          lines with this text are not compared: whether they are there depends on timing
//! last 1                                    compare only the last lines of standard output: progress depends on timing
//! in a terminal                             run the command in a pseudo-terminal
//! save web .ID                              keep a JSON value, or with `save web` the whole output, for later steps
//! ```
//!
//! `@name@` stands for a saved value; `@image@` and `@address@` for the test image and the host's address. In a call's
//! target, characters that cannot stand there raw (quotes, braces, blanks) are percent-encoded when it is sent.

use crate::Error;

/// A parsed scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub name: String,
    pub steps: Vec<Step>,
}

/// One step and how its outcome is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    pub title: String,
    pub action: Option<Action>,
    /// Standard input of a command or body of a call.
    pub input: Option<String>,
    pub headers: Vec<(String, String)>,
    /// Patterns that must all be found in the output, lines and all, before it is taken.
    pub until: Vec<String>,
    /// Whether the output must be empty before it is taken.
    pub empty: bool,
    /// What is in lines that are not compared.
    pub without: Vec<String>,
    pub last: Option<usize>,
    pub unordered: bool,
    pub terminal: bool,
    pub save: Vec<(String, Option<String>)>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The stock command with these arguments.
    Docker(Vec<String>),
    /// A call with method and target.
    Api(String, String),
}

impl Scenario {
    /// Reads a scenario; `name` is used in messages.
    pub fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let mut steps = Vec::new();
        let mut step = Step::default();
        for (at, line) in text.lines().enumerate().chain([(text.lines().count(), "")]) {
            let line = line.trim_end();
            if line.is_empty() {
                finish(&mut step, &mut steps).map_err(|what| parse_error(name, at, what))?;
            } else if !line.starts_with('#') {
                read_line(&mut step, line).map_err(|what| parse_error(name, at, what))?;
            }
        }
        Ok(Self {
            name: name.to_owned(),
            steps,
        })
    }
}

fn parse_error(name: &str, at: usize, what: String) -> Error {
    Error::Parse {
        file: name.to_owned(),
        line: at + 1,
        what,
    }
}

fn finish(step: &mut Step, steps: &mut Vec<Step>) -> Result<(), String> {
    if *step == Step::default() {
        return Ok(());
    }
    if step.action.is_none() {
        return Err(format!("step {:?} does nothing", step.title));
    }
    if steps.iter().any(|earlier| earlier.title == step.title) {
        return Err(format!("two steps are called {:?}", step.title));
    }
    steps.push(std::mem::take(step));
    Ok(())
}

fn read_line(step: &mut Step, line: &str) -> Result<(), String> {
    if step.action.is_none() {
        return read_opening(step, line);
    }
    if let Some(text) = line.strip_prefix('|') {
        let input = step.input.get_or_insert_default();
        input.push_str(text.strip_prefix(' ').unwrap_or(text));
        input.push('\n');
    } else if line == "until nothing" {
        step.empty = true;
    } else if line == "in any order" {
        step.unordered = true;
    } else if let Some(text) = line.strip_prefix("until ") {
        step.until.push(text.to_owned());
    } else if let Some(text) = line.strip_prefix("without ") {
        step.without.push(text.to_owned());
    } else if let Some(count) = line.strip_prefix("last ") {
        step.last = Some(
            count
                .parse()
                .map_err(|_| format!("{count:?} is not a number of lines"))?,
        );
    } else if line == "in a terminal" {
        step.terminal = true;
    } else if let Some(rest) = line.strip_prefix("save ") {
        let (name, path) = rest
            .split_once(' ')
            .map_or((rest, None), |(name, path)| (name, Some(path.to_owned())));
        step.save.push((name.to_owned(), path));
    } else if let Some((name, value)) = line.split_once(": ") {
        step.headers.push((name.to_owned(), value.to_owned()));
    } else {
        return Err(format!("cannot read {line:?}"));
    }
    Ok(())
}

fn read_opening(step: &mut Step, line: &str) -> Result<(), String> {
    let action = if let Some(command) = line.strip_prefix("$ docker ") {
        Action::Docker(words(command)?)
    } else if let Some(call) = line.strip_prefix("> ") {
        let (method, target) = call
            .split_once(' ')
            .ok_or_else(|| format!("no target in {call:?}"))?;
        Action::Api(method.to_owned(), target.to_owned())
    } else if step.title.is_empty() {
        step.title = line.to_owned();
        return Ok(());
    } else {
        return Err(format!("{line:?} is neither a command nor a call"));
    };
    if step.title.is_empty() {
        step.title = line[2..].to_owned();
    }
    step.action = Some(action);
    Ok(())
}

/// Splits as a shell does: blanks part words, quotes keep them together, a backslash keeps the next character.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().extend(characters.next()),
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("a quote is left open in {line:?}"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_one_step() {
        let text = "# prose\n\na title\n> POST /x\nContent-Type: text/plain\n| {\n|  }\nuntil up\nsave web .ID\n\n$ docker ps -q\nwithout dead\nlast 2\n";
        let scenario = Scenario::parse("t", text).unwrap();
        let call = Step {
            title: "a title".into(),
            action: Some(Action::Api("POST".into(), "/x".into())),
            input: Some("{\n }\n".into()),
            headers: vec![("Content-Type".into(), "text/plain".into())],
            until: vec!["up".into()],
            save: vec![("web".into(), Some(".ID".into()))],
            ..Step::default()
        };
        let command = Step {
            title: "docker ps -q".into(),
            action: Some(Action::Docker(vec!["ps".into(), "-q".into()])),
            without: vec!["dead".into()],
            last: Some(2),
            ..Step::default()
        };
        assert_eq!(scenario.steps, [call, command]);
    }

    #[test]
    fn words_are_parted_as_a_shell_parts_them() {
        assert_eq!(
            words(r#"a 'b c' --x="d e" '' f\ g"#).unwrap(),
            ["a", "b c", "--x=d e", "", "f g"]
        );
        assert!(words("'open").is_err());
    }

    #[test]
    fn a_step_without_an_action_is_an_error_with_its_line() {
        assert_eq!(
            Scenario::parse("t", "only a title\n")
                .unwrap_err()
                .to_string(),
            "t:2: step \"only a title\" does nothing"
        );
    }
}
