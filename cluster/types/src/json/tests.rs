//! What is read, what is dropped and what is written; Go's verdicts and the properties stand apart.

mod properties;
mod verdicts;

use super::fields::same_folded;
use super::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Inner {
    image: String,
    init: Option<bool>,
    env: Vec<String>,
    size: i64,
    mode: u32,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Task {
    container_spec: Option<Inner>,
    labels: BTreeMap<String, String>,
    inners: Vec<Inner>,
    named: BTreeMap<String, Inner>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Spec {
    name: String,
    labels: BTreeMap<String, String>,
    task_template: Task,
    delay: i64,
    ratio: f32,
    port: u32,
    on: bool,
    pairs: Vec<Vec<String>>,
}

fn spec(text: &str) -> Decoded<Spec> {
    from_slice(text.as_bytes()).unwrap()
}

#[test]
fn keys_match_without_case_and_the_exact_one_is_preferred() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Both {
        #[serde(rename = "KEY")]
        upper: u8,
        #[serde(rename = "key")]
        lower: u8,
    }
    let both: Both = from_slice(br#"{"key":1,"KEY":2}"#).unwrap().value;
    assert_eq!(both, Both { upper: 2, lower: 1 });
    let text = r#"{"NAME":"web","tasktemplate":{"containerSpec":{"\u212aX":1,"iMaGe":"x"}}}"#;
    let found = spec(text);
    assert_eq!(found.value.name, "web");
    assert_eq!(found.value.task_template.container_spec.unwrap().image, "x");
    assert!(same_folded("tas\u{212a}\u{17f}", "TaskS"));
}

#[test]
fn unknown_keys_are_dropped_and_their_paths_reported() {
    let found = spec(
        r#"{"Foo":{"Bar":1},"tasktemplate":{"Inners":[{},{"x":1}],"named":{"k.1":{"Y":[]}},
            "ContainerSpec":{"Zed":0}},"labels":{"Any":"thing"}}"#,
    );
    let paths = [
        "Foo",
        "TaskTemplate.Inners[1].x",
        "TaskTemplate.Named.k.1.Y",
        "TaskTemplate.ContainerSpec.Zed",
    ];
    assert_eq!(found.unknown, paths);
    assert_eq!(found.value.labels["Any"], "thing");
}

#[test]
fn an_unknown_key_that_is_null_is_not_reported() {
    let found =
        spec(r#"{"Foo":null,"TaskTemplate":{"Bar":null,"Inners":[{"X":null,"Y":[null]}]}}"#);
    assert_eq!(found.unknown, ["TaskTemplate.Inners[0].Y"]);
}

#[test]
fn null_leaves_the_zero_value() {
    let found = spec(
        r#"{"Name":null,"Labels":null,"TaskTemplate":null,"Delay":null,"Ratio":null,
            "On":null,"Pairs":null}"#,
    );
    assert_eq!(found.value, Spec::default());
    assert_eq!(from_slice::<Spec>(b"null").unwrap().value, Spec::default());
    let found = spec(r#"{"Labels":{"a":null},"Pairs":[null,["x",null]]}"#).value;
    assert_eq!(found.labels["a"], "");
    assert_eq!(found.pairs, [vec![], vec!["x".to_owned(), String::new()]]);
}

#[test]
fn of_repeated_keys_the_last_scalar_wins_and_objects_are_laid_together() {
    let found = spec(
        r#"{"Name":"a","name":"b","NAME":null,"Labels":{"x":"1","y":"1"},"labels":{"y":"2"},
            "TaskTemplate":{"ContainerSpec":{"Image":"i","Env":["a","b"]}},
            "TaskTemplate":{"ContainerSpec":{"Size":7,"Env":["c"]}}}"#,
    )
    .value;
    assert_eq!(found.name, "b");
    assert_eq!(
        found.labels,
        [("x", "1"), ("y", "2")]
            .map(|(k, v)| (k.into(), v.into()))
            .into()
    );
    let inner = found.task_template.container_spec.unwrap();
    assert_eq!((inner.image.as_str(), inner.size), ("i", 7));
    assert_eq!(inner.env, ["c"]);
}

#[test]
fn numbers_keep_all_their_digits() {
    let all = from_slice::<(u64, i64, f64)>(b"[18446744073709551615,-9223372036854775808,1.5e3]");
    assert_eq!(all.unwrap().value, (u64::MAX, i64::MIN, 1500.0));
}

#[test]
fn enums_and_newtypes_are_read_as_serde_json_reads_them() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Dot,
        Circle(u8),
        Box { side: u8 },
    }
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Key(String);
    let shapes: BTreeMap<Key, Shape> =
        from_slice(br#"{"a":"Dot","b":{"Circle":1},"c":{"Box":{"side":2}}}"#)
            .unwrap()
            .value;
    let shapes: Vec<Shape> = shapes.into_values().collect();
    assert_eq!(
        shapes,
        [Shape::Dot, Shape::Circle(1), Shape::Box { side: 2 }]
    );
}

#[test]
fn bad_utf8_and_half_surrogates_become_replacement_characters_as_in_go() {
    let texts: [(&[u8], &str); 5] = [
        (b"\"\xe2\x82\"", "\u{fffd}\u{fffd}"),
        (b"\"\\ud800\\u0041\"", "\u{fffd}A"),
        (b"\"\\udc00x\"", "\u{fffd}x"),
        (b"\"\\ud83d\\ude00\"", "😀"),
        (b"\"\\ud83d\\ud83d\\ude00\"", "\u{fffd}😀"),
    ];
    for (text, wanted) in texts {
        assert_eq!(from_slice::<String>(text).unwrap().value, wanted);
    }
}

#[test]
fn go_types_that_serde_does_not_tell_are_named_all_the_same() {
    use crate::spec::{ServiceSpec, SwarmSpec};
    let service = |text: &str| from_slice::<ServiceSpec>(text.as_bytes()).unwrap_err();
    let texts = [
        (
            r#"{"TaskTemplate":{"ContainerSpec":{"StopGracePeriod":"5s"}}}"#,
            "string into Go struct field ContainerSpec.TaskTemplate.ContainerSpec.\
             StopGracePeriod of type time.Duration",
        ),
        (
            r#"{"TaskTemplate":{"ContainerSpec":{"Mounts":{}}}}"#,
            "object into Go struct field ContainerSpec.TaskTemplate.ContainerSpec.Mounts \
             of type []mount.Mount",
        ),
        (
            r#"{"Mode":"global"}"#,
            "string into Go struct field ServiceSpec.Mode of type swarm.ServiceMode",
        ),
        (
            r#"{"EndpointSpec":{"Ports":[{"Protocol":6}]}}"#,
            "number into Go struct field PortConfig.EndpointSpec.Ports.Protocol \
             of type swarm.PortConfigProtocol",
        ),
    ];
    for (text, wanted) in texts {
        assert_eq!(
            service(text).to_string(),
            format!("json: cannot unmarshal {wanted}")
        );
    }
    let swarm = from_slice::<SwarmSpec>(br#"{"Raft":{"ElectionTick":1.5}}"#).unwrap_err();
    let wanted = "number 1.5 into Go struct field RaftConfig.Raft.ElectionTick of type int";
    assert_eq!(
        swarm.to_string(),
        format!("json: cannot unmarshal {wanted}")
    );
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(from_slice::<Value>(nested(MAX_DEPTH).as_bytes()).is_ok());
    let refused = from_slice::<Value>(nested(MAX_DEPTH + 1).as_bytes());
    assert_eq!(refused, Err(Error::Syntax("exceeded max depth".into())));
    assert!(from_slice::<Value>("[".repeat(1_000_000).as_bytes()).is_err());
}

#[test]
fn answers_are_written_as_go_writes_them() {
    let value =
        json!({"a": "<b>&\u{2028}\u{2029}\u{8}\u{7f}é\n", "f": [0.0, 1.0, -2.5, 1e21, 1e-7]});
    let wanted = "{\"a\":\"<b>&\\u2028\\u2029\\b\u{7f}é\\n\",\"f\":[0,1,-2.5,1e+21,1e-7]}\n";
    assert_eq!(String::from_utf8(to_vec(&value)).unwrap(), wanted);
    assert_eq!(to_vec(&0.1f32), b"0.1\n");
    assert_eq!(to_vec(&1e20), b"100000000000000000000\n");
}
