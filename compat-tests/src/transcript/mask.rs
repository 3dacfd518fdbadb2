//! Taking out of an output what differs from run to run: ids, times, tokens, keys and ports drawn by the kernel.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Patterns and what stands for them, tried in order.
static PATTERNS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    [
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        (
            r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----\n?",
            "<certificate>",
        ),
        (r"SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}", "<token>"),
        (
            r"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE[0-9A-Za-z+/]{86}==",
            "<public key>",
        ),
        (r"SWMKEY-1-[0-9A-Za-z+/]{43}", "<key>"),
        (
            r"\b[1-9]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d)( UTC)?)?",
            "<time>",
        ),
        (r"(sha256:)?\b[0-9a-f]{64}\b", "<digest>"),
        (r"\b[0-9a-z]{25}\b", "<id>"),
        (r"(/[A-Za-z0-9._-]+)+/engine/data/", "<data root>/"),
        (r"(?m)^[0-9a-z]{12}$", "<id>"),
        (r"(\.\d+)\.[0-9a-z]{12}@", "$1.<id>@"),
        (
            r"(?i)\b(less than a|about an?|\d+) (second|minute|hour)s?( ago)?\b",
            "<age>",
        ),
        (
            r":(3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[45]\d{4}|60[0-9]{3})->",
            ":<port>->",
        ),
    ]
    .into_iter()
    .map(|(pattern, mask)| {
        (
            Regex::new(&format!("(?-u){pattern}")).expect("a constant pattern"),
            mask,
        )
    })
    .collect()
});

static BLANKS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r" {2,}").expect("a constant pattern"));

/// The lowest port that an engine draws for `--publish 0`.
const FIRST_DRAWN_PORT: u64 = 32_768;

/// Masks running text.
pub fn text(raw: &str) -> String {
    PATTERNS
        .iter()
        .fold(raw.to_owned(), |text, (pattern, mask)| {
            pattern.replace_all(&text, *mask).into_owned()
        })
}

/// Masks what a command prints, line by line; in tables the id column is masked and column widths do not count.
pub fn lines(raw: &str) -> Vec<String> {
    let masked = text(raw).replace('\r', "\n");
    let with_ids = masked.starts_with("ID ") || masked.starts_with("CONTAINER ID ");
    let lines = masked.lines().enumerate().map(|(at, line)| {
        let line = BLANKS.replace_all(line.trim_end(), "  ").into_owned();
        match line.split_once(' ') {
            Some((_, rest)) if with_ids && at > 0 => format!("<id> {rest}"),
            _ => line,
        }
    });
    lines.filter(|line| !line.is_empty()).collect()
}

/// Masks a JSON value in place. Lists of objects are put into an order of their own, since Docker's is that of ids.
pub fn json(value: &mut Value) {
    match value {
        Value::String(string) => *string = text(string),
        Value::Array(items) => {
            items.iter_mut().for_each(json);
            if items.iter().all(Value::is_object) {
                items.sort_by_key(Value::to_string);
            }
        }
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| field(key, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn field(key: &str, value: &mut Value) {
    let drawn = match key {
        "Index" | "PID" | "Pid" => value.as_u64().is_some_and(|number| number > 0),
        "PublishedPort" => value.as_u64().is_some_and(|port| port >= FIRST_DRAWN_PORT),
        _ => false,
    };
    if drawn {
        *value = Value::String(format!("<{}>", key.to_lowercase()));
    } else {
        json(value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn ids_times_and_ages_are_masked_and_zero_times_are_not() {
        assert_eq!(
            text("task 0ntes32w8edfz1c2v3b4n5m6q failed 2026-01-02T03:04:05.67Z"),
            "task <id> failed <time>"
        );
        assert_eq!(text("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00Z");
        assert_eq!(
            text("Running Less than a second ago, Up 3 minutes"),
            "Running <age>, Up <age>"
        );
    }

    #[test]
    fn a_table_loses_its_ids_and_widths() {
        let table = "ID             NAME   IMAGE\n0ntes32w8edf   web    x   \n";
        assert_eq!(lines(table), ["ID  NAME  IMAGE", "<id>  web  x"]);
    }

    #[test]
    fn numbers_that_are_drawn_are_masked_and_others_stay() {
        let mut given = value!([{"Version":{"Index":12},"Replicas":3,"PublishedPort":32770},{"Version":{},"PublishedPort":80}]);
        json(&mut given);
        let expected = value!([{"Version":{"Index":"<index>"},"Replicas":3,"PublishedPort":"<publishedport>"},{"Version":{},"PublishedPort":80}]);
        let mut sorted = expected.clone();
        json(&mut sorted);
        assert_eq!(given, sorted);
    }
}
