//! The fields of a spec and the payloads: what is expanded, what is left alone, and what users read when it fails.

use std::collections::BTreeMap;

use swarmrs_template::*;

fn context() -> Context {
    let mut context = Context::default();
    context.service.name = "web".into();
    context.task.slot = "3".into();
    context
}

fn strings(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn map(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// One secret and one config, both at the target `it`; the secret is not UTF-8.
struct One;

impl Sources for One {
    fn secret(&self, target: &str) -> Result<Vec<u8>, Missing> {
        if target == "it" {
            Ok(vec![0xff, 0, b's'])
        } else {
            Err(Missing::Target)
        }
    }

    fn config(&self, target: &str) -> Result<Vec<u8>, Missing> {
        if target == "it" {
            Ok(b"{{.Service.Name}}".to_vec())
        } else {
            Err(Missing::Target)
        }
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

fn payload(text: &str) -> Result<Expanded, Error> {
    expand_payload(text.as_bytes(), &context(), &One)
}

#[test]
fn only_the_value_of_an_environment_entry_is_expanded() {
    let entries = strings(&[
        "A={{.Service.Name}}={{.Task.Slot}}",
        "{{.X}}=b",
        "{{.X}}",
        "C=",
    ]);
    let expected = strings(&["A=web=3", "{{.X}}=b", "{{.X}}", "C="]);
    assert_eq!(expand_env(&entries, &context()), Ok(expected));
}

#[test]
fn a_failing_environment_entry_is_named_whole() {
    let error = expand_env(&strings(&["OK=1", "A={{.X}}"]), &context()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expanding env failed: expanding env \"A={{.X}}\": template: expansion:1:2: executing \"expansion\" \
         at <.X>: can't evaluate field X in type *template.Context"
    );
}

#[test]
fn a_failing_hostname_or_mount_is_named() {
    let unclosed = "template: expansion:1: unclosed action";
    let text = |result: Result<String, Error>| result.unwrap_err().to_string();
    assert_eq!(
        text(expand_hostname("h{{", &context())),
        format!("expanding hostname failed: {unclosed}")
    );
    assert_eq!(
        text(expand_mount_source("h{{", &context())),
        format!("expanding mounts failed: expanding mount source \"h{{{{\": {unclosed}")
    );
    assert_eq!(
        text(expand_mount_target("h{{", &context())),
        format!("expanding mounts failed: expanding mount target \"h{{{{\": {unclosed}")
    );
}

#[test]
fn the_values_of_volume_labels_and_options_are_expanded_and_their_keys_are_not() {
    let entries = map("{{k}}", "{{.Task.Slot}}");
    assert_eq!(
        expand_volume_labels(&entries, &context()),
        Ok(map("{{k}}", "3"))
    );
    let error = expand_volume_options(&map("k", "{{"), &context()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expanding mounts failed: expanding volume driver config: expanding map entry \"k\"=\"{{\": \
         template: expansion:1: unclosed action"
    );
    let error = expand_volume_labels(&map("k", "{{"), &context()).unwrap_err();
    assert!(error.to_string().contains(": expanding volume labels: "));
}

#[test]
fn a_payload_keeps_bytes_that_are_not_text() {
    let expanded = expand_payload(b"\xfe{{secret \"it\"}}\xfd", &context(), &One).unwrap();
    assert_eq!(expanded.bytes, [0xfe, 0xff, 0, b's', 0xfd]);
}

#[test]
fn a_payload_tells_whether_a_secret_went_into_it() {
    assert!(payload("{{secret `it`}}").unwrap().used_secret);
    assert!(payload("{{$x := secret `it`}}").unwrap().used_secret);
    assert!(!payload("{{config `it`}}").unwrap().used_secret);
    assert!(
        !payload("{{if false}}{{secret `it`}}{{end}}")
            .unwrap()
            .used_secret
    );
}

#[test]
fn what_a_source_gives_is_not_expanded_again() {
    assert_eq!(
        payload("{{config `it`}}").unwrap().bytes,
        b"{{.Service.Name}}"
    );
}

#[test]
fn an_error_shows_no_value_once_a_secret_was_read() {
    for text in [
        "{{range secret `it`}}{{end}}",
        "{{secret (secret `it`)}}",
        "{{config (print (secret `it`))}}",
        "{{secret `it` | call}}",
    ] {
        let error = payload(text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("a value of type string"), "{error}");
    }
}

#[test]
fn an_empty_label_set_equals_nil() {
    assert_eq!(
        expand("{{eq .Service.Labels nil}}", &context()),
        Ok("true".to_owned())
    );
}
