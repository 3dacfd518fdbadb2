//! What a template can see: the service, the node and the task it is expanded for.
//!
//! The shape is Docker's, and so are the type names: both appear in error texts
//! (`can't evaluate field X in type *template.Context`).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::value::{Record, Value};

/// The values behind `.`, as plain strings. For the check at creation, fill it with made-up ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub service: Service,
    pub node: Node,
    pub task: Task,
}

/// `.Service`. Labels with dots in their names are read by `{{index .Service.Labels "a.b"}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub id: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// `.Node`. Docker leaves all but the id empty where it expands payloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub hostname: String,
    pub platform: Platform,
}

/// `.Node.Platform`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    pub architecture: String,
    pub os: String,
}

/// `.Task`. The slot is a text because a task without one (global mode) has its node's id there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub name: String,
    pub slot: String,
}

/// Names that Go's type has and templates may not touch; the error says so instead of "can't evaluate".
const PAYLOAD_PRIVATE: &[&str] = &["t", "restrictedSecrets", "restrictedConfigs", "sensitive"];

impl Context {
    /// The dot of a spec's field.
    pub(crate) fn for_spec(&self) -> Value {
        self.record("*template.Context", &[])
    }

    /// The dot of a payload.
    pub(crate) fn for_payload(&self) -> Value {
        self.record("*template.PayloadContext", PAYLOAD_PRIVATE)
    }

    fn record(&self, type_name: &'static str, private: &'static [&'static str]) -> Value {
        Value::Record(Rc::new(Record {
            type_name,
            private,
            fields: vec![
                ("Service", self.service.value()),
                ("Node", self.node.value()),
                ("Task", self.task.value()),
            ],
        }))
    }
}

fn open(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
    Value::Record(Rc::new(Record {
        type_name,
        private: &[],
        fields,
    }))
}

impl Service {
    fn value(&self) -> Value {
        let labels = self
            .labels
            .iter()
            .map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()))
            .collect();
        open(
            "struct { ID string; Name string; Labels map[string]string }",
            vec![
                ("ID", Value::text(&self.id)),
                ("Name", Value::text(&self.name)),
                ("Labels", Value::Map(Rc::new(labels))),
            ],
        )
    }
}

impl Node {
    fn value(&self) -> Value {
        let platform = open(
            "template.Platform",
            vec![
                ("Architecture", Value::text(&self.platform.architecture)),
                ("OS", Value::text(&self.platform.os)),
            ],
        );
        open(
            "struct { ID string; Hostname string; Platform template.Platform }",
            vec![
                ("ID", Value::text(&self.id)),
                ("Hostname", Value::text(&self.hostname)),
                ("Platform", platform),
            ],
        )
    }
}

impl Task {
    fn value(&self) -> Value {
        open(
            "struct { ID string; Name string; Slot string }",
            vec![
                ("ID", Value::text(&self.id)),
                ("Name", Value::text(&self.name)),
                ("Slot", Value::text(&self.slot)),
            ],
        )
    }
}
