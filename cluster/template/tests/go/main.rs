//! The language is Go's: every row of the table gives what Go gave.

mod table;

use swarmrs_template::{
    Context, Error, Missing, Node, Platform, Service, Sources, Task, expand, expand_payload,
};

fn context() -> Context {
    let label = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Context {
        service: Service {
            id: "svcid".into(),
            name: "web".into(),
            labels: [("a", "1"), ("b.c", "two"), ("z", "")].map(label).into(),
        },
        node: Node {
            id: "nodeid".into(),
            hostname: "host1".into(),
            platform: Platform {
                architecture: "x86_64".into(),
                os: "linux".into(),
            },
        },
        task: Task {
            id: "taskid".into(),
            name: "web.1.taskid".into(),
            slot: "1".into(),
        },
    }
}

struct TaskSources;

impl Sources for TaskSources {
    fn secret(&self, target: &str) -> Result<Vec<u8>, Missing> {
        match target {
            "s" => Ok(b"hunter2".to_vec()),
            _ => Err(Missing::Target),
        }
    }

    fn config(&self, target: &str) -> Result<Vec<u8>, Missing> {
        match target {
            "c" => Ok(b"conf".to_vec()),
            "gone" => Err(Missing::Payload("config gone is gone".into())),
            _ => Err(Missing::Target),
        }
    }

    fn env(&self, name: &str) -> Option<String> {
        (name == "E").then(|| "val".into())
    }
}

/// Runs all rows, so that one failure shows every difference.
fn compare(rows: &[table::Row], expand: impl Fn(&str) -> Result<String, Error>) {
    let mut differences = Vec::new();
    for (template, expected) in rows {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        let got = expand(template).map_err(|error| error.to_string());
        if got != expected {
            differences.push(format!("{template:?}\n  Go:  {expected:?}\n  got: {got:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn fields_expand_as_in_go() {
    compare(table::FIELDS, |template| expand(template, &context()));
}

#[test]
fn payloads_expand_as_in_go() {
    compare(table::PAYLOADS, |template| {
        let expanded = expand_payload(template.as_bytes(), &context(), &TaskSources)?;
        Ok(String::from_utf8_lossy(&expanded.bytes).into_owned())
    });
}
