//! Secrets and configs: what is refused, in which words, and what is written.

use super::*;
use crate::control::service::{UpdateOptions, remove as remove_service, update as update_service};
use crate::control::{config, secret};
use swarmrs_types::filter::Filters;
use swarmrs_types::spec::{ConfigSpec, SecretSpec};
use swarmrs_types::{ConfigId, SecretId};

fn secret_spec(patch: Value) -> SecretSpec {
    let mut whole = json!({"Name": "key", "Data": "aHVzaA=="});
    lay(&mut whole, patch);
    read(&whole)
}

fn config_spec(patch: Value) -> ConfigSpec {
    let mut whole = json!({"Name": "conf", "Data": "cGxhaW4="});
    lay(&mut whole, patch);
    read(&whole)
}

fn a_secret(state: &mut State, ids: &mut Counter, name: &str) -> SecretId {
    let spec = secret_spec(json!({"Name": name}));
    let (id, plan) = secret::create(state, spec, NOW, ids).unwrap();
    apply(state, plan);
    id
}

fn a_config(state: &mut State, ids: &mut Counter, name: &str) -> ConfigId {
    let spec = config_spec(json!({"Name": name}));
    let (id, plan) = config::create(state, spec, NOW, ids).unwrap();
    apply(state, plan);
    id
}

fn refused<T>(answer: Result<T, Fault>) -> String {
    answer.map_or_else(|fault| said(&fault), |_| "accepted".to_owned())
}

/// A service that uses the secret.
fn using(secret: SecretId, name: &str) -> Value {
    json!({"TaskTemplate": {"ContainerSpec": {"Secrets": [
        {"SecretID": secret.as_str(), "SecretName": name, "File": {"Name": name}},
    ]}}})
}

const BAD_NAME: &str = "manager InvalidArgument: invalid name, only 64 [a-zA-Z0-9-_.] characters allowed, and the start and end character must be [a-zA-Z0-9]";

#[test]
fn names_are_checked_first_and_then_sizes() {
    let (state, ids) = (State::default(), &mut Counter::default());
    let long = "a".repeat(65);
    for name in ["-a", "a-", "_", ".a", "a b", "a/b", "é", long.as_str()] {
        let spec = secret_spec(json!({"Name": name, "Data": ""}));
        assert_eq!(
            refused(secret::create(&state, spec, NOW, ids)),
            BAD_NAME,
            "{name}"
        );
        let spec = config_spec(json!({"Name": name, "Data": ""}));
        assert_eq!(
            refused(config::create(&state, spec, NOW, ids)),
            BAD_NAME,
            "{name}"
        );
    }
    for (patch, text) in [
        (
            json!({"Name": ""}),
            "manager InvalidArgument: name must be provided",
        ),
        (
            json!({"Data": ""}),
            "manager InvalidArgument: secret data must be larger than 0 and less than 512000 bytes",
        ),
        (
            json!({"Data": "", "Driver": {}}),
            "manager InvalidArgument: secret driver must have a name",
        ),
        (
            json!({"Driver": {"Name": "vault"}}),
            "manager Unknown: plugin \"vault\" not found",
        ),
        (json!({"Name": "a.b_c-d"}), "accepted"),
        (json!({"Name": "a".repeat(64)}), "accepted"),
    ] {
        let spec = secret_spec(patch.clone());
        assert_eq!(
            refused(secret::create(&state, spec, NOW, ids)),
            text,
            "{patch}"
        );
    }
}

#[test]
fn the_largest_payload_is_one_byte_less_than_the_limit() {
    let (state, ids) = (State::default(), &mut Counter::default());
    let of = |size: usize| vec![b'x'; size].into();
    let mut spec = secret_spec(json!({}));
    for (size, fits) in [(511_999, true), (512_000, false)] {
        spec.data = of(size);
        assert_eq!(secret::create(&state, spec.clone(), NOW, ids).is_ok(), fits);
    }
    let mut spec = config_spec(json!({}));
    for (size, fits) in [(1_023_999, true), (1_024_000, false)] {
        spec.data = of(size);
        let made = config::create(&state, spec.clone(), NOW, ids);
        assert_eq!(made.is_ok(), fits);
    }
    assert_eq!(
        refused(config::create(&state, spec, NOW, ids)),
        "manager InvalidArgument: config data must be larger than 0 and less than 1024000 bytes"
    );
}

#[test]
fn a_name_is_taken_in_any_case_by_its_own_kind_alone() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    a_secret(&mut state, &mut ids, "key");
    let again = secret_spec(json!({"Name": "KEY"}));
    assert_eq!(
        refused(secret::create(&state, again, NOW, &mut ids)),
        "manager AlreadyExists: secret KEY already exists"
    );
    a_config(&mut state, &mut ids, "key");
    let again = config_spec(json!({"Name": "Key"}));
    assert_eq!(
        refused(config::create(&state, again, NOW, &mut ids)),
        "manager AlreadyExists: config Key already exists"
    );
}

#[test]
fn a_name_taken_between_decision_and_entry_is_told_the_same() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let (_, plan) = secret::create(&state, secret_spec(json!({})), NOW, &mut ids).unwrap();
    a_secret(&mut state, &mut ids, "key");
    let rejected = state.apply(9, &plan.into_command(NOW, wall())).unwrap_err();
    assert_eq!(
        said(&crate::control::fault_of(&rejected)),
        "manager AlreadyExists: secret key already exists"
    );
}

#[test]
fn only_labels_change_and_only_at_the_version_that_was_read() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = a_secret(&mut state, &mut ids, "key");
    let version = state.secrets().get(&id).unwrap().meta.version;
    let only = "manager InvalidArgument: only updates to Labels are allowed";
    for (patch, version, text) in [
        (json!({"Name": "other"}), version, only),
        (json!({"Data": "b3RoZXI="}), version, only),
        (json!({"Data": "b3RoZXI="}), 99, only),
        (json!({}), 99, "manager Unknown: update out of sequence"),
    ] {
        let spec = secret_spec(patch.clone());
        assert_eq!(
            refused(secret::update(&state, "key", version, spec, NOW)),
            text,
            "{patch}"
        );
    }
    let spec = secret_spec(json!({"Data": "", "Labels": {"a": "b"}, "Templating": {"Name": "x"}}));
    let plan = secret::update(&state, "KEY", version, spec, NOW).unwrap();
    apply(&mut state, plan);
    let kept = secret_spec(json!({"Labels": {"a": "b"}}));
    assert_eq!(state.secrets().get(&id).unwrap().spec, kept);
}

#[test]
fn what_is_in_use_stays_until_its_last_service_lets_go() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = a_secret(&mut state, &mut ids, "key");
    made(&mut state, &mut ids, using(id, "key"));
    assert_eq!(
        refused(secret::remove(&state, "key")),
        "manager InvalidArgument: secret 'key' is in use by the following service: web"
    );
    let mut other = using(id, "key");
    lay(&mut other, json!({"Name": "api"}));
    made(&mut state, &mut ids, other);
    assert_eq!(
        refused(secret::remove(&state, "key")),
        "manager InvalidArgument: secret 'key' is in use by the following services: web, api"
    );
    let (_, plan) = remove_service(&state, "api").unwrap();
    apply(&mut state, plan);
    let version = state.service_named("web").unwrap().meta.version;
    let plan = update_service(
        &state,
        "web",
        version,
        spec(json!({})),
        UpdateOptions::default(),
        NOW,
        wall(),
    );
    apply(&mut state, plan.unwrap());
    let (_, plan) = secret::remove(&state, "key").unwrap();
    apply(&mut state, plan);
    assert_eq!(
        refused(secret::look_up(&state, "key")),
        "NotFound: secret key not found"
    );
}

#[test]
fn a_service_refers_to_what_exists_by_its_own_name() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = a_secret(&mut state, &mut ids, "key");
    let config = a_config(&mut state, &mut ids, "conf");
    let refers = |secrets: Value, configs: Value| {
        let patch =
            json!({"TaskTemplate": {"ContainerSpec": {"Secrets": secrets, "Configs": configs}}});
        refused(create(&state, spec(patch), None, NOW, &mut Counter(9)))
    };
    let one = |kind: &str, id: &str, name: &str| json!({format!("{kind}ID"): id, format!("{kind}Name"): name, "File": {"Name": name}});
    let known = one("Secret", id.as_str(), "key");
    let (other, gone) = (
        one("Secret", id.as_str(), "other"),
        one("Secret", "gone", "gone"),
    );
    for (secrets, configs, text) in [
        (
            json!([known]),
            json!([one("Config", config.as_str(), "conf")]),
            "accepted",
        ),
        (
            json!([other]),
            json!([]),
            "manager InvalidArgument: secret not found: other",
        ),
        (
            json!([gone, known, other]),
            json!([one("Config", "x", "x")]),
            "manager InvalidArgument: secrets not found: gone, other",
        ),
        (
            json!([known]),
            json!([one("Config", "x", "x"), one("Config", id.as_str(), "y")]),
            "manager InvalidArgument: configs not found: x, y",
        ),
    ] {
        assert_eq!(refers(secrets, configs), text);
    }
}

#[test]
fn a_service_is_not_made_on_a_secret_that_goes_meanwhile() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = a_secret(&mut state, &mut ids, "key");
    let (_, service) = create(&state, spec(using(id, "key")), None, NOW, &mut ids).unwrap();
    let (_, removal) = secret::remove(&state, "key").unwrap();
    let mut gone_first = state.clone();
    apply(&mut gone_first, removal.clone());
    let late = service.clone().into_command(NOW, wall());
    assert!(gone_first.apply(9, &late).is_err());
    apply(&mut state, service);
    assert!(state.apply(9, &removal.into_command(NOW, wall())).is_err());
}

#[test]
fn terms_of_a_list_are_alternatives_and_labels_are_not() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let first = a_secret(&mut state, &mut ids, "Alpha");
    a_secret(&mut state, &mut ids, "alphabet");
    a_secret(&mut state, &mut ids, "beta");
    let names = |filters: &str| -> Vec<String> {
        let filters = Filters::parse(filters).unwrap();
        let found = secret::list(&state, &filters).unwrap();
        found
            .iter()
            .map(|secret| secret.spec.name.clone())
            .collect()
    };
    assert_eq!(names(""), ["Alpha", "alphabet", "beta"]);
    assert_eq!(names(r#"{"name":{"alph":true}}"#), ["Alpha", "alphabet"]);
    assert_eq!(names(r#"{"names":{"ALPHA":true}}"#), ["Alpha"]);
    assert_eq!(
        names(r#"{"names":{"beta":true},"name":{"alphab":true}}"#),
        ["alphabet", "beta"]
    );
    let by_id = format!(r#"{{"id":["{}"],"name":["b"]}}"#, first.as_str());
    assert_eq!(names(&by_id), ["Alpha", "beta"]);
    assert!(names(r#"{"label":{"x":true},"name":{"a":true}}"#).is_empty());
    let unknown = Filters::parse(r#"{"names":{"a":true}}"#).unwrap();
    assert_eq!(
        refused(config::list(&state, &unknown)),
        "InvalidArgument: invalid filter 'names'"
    );
}

#[test]
fn a_config_is_looked_up_by_id_name_and_beginning() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = a_config(&mut state, &mut ids, "conf");
    a_config(&mut state, &mut ids, "other");
    for term in [id.as_str(), "conf", "CONF"] {
        assert_eq!(config::look_up(&state, term).unwrap().id, id, "{term}");
    }
    assert_eq!(
        refused(config::look_up(&state, "0000")),
        "InvalidArgument: config 0000 is ambiguous (2 matches found)"
    );
    assert_eq!(
        refused(config::look_up(&state, "con")),
        "NotFound: config con not found"
    );
}
