//! Specs print as Go prints them.

use super::*;
use crate::json;

fn round_trip(text: &str) -> String {
    let spec: ServiceSpec = json::from_slice(text.as_bytes()).unwrap().value;
    serde_json::to_string(&spec).unwrap()
}

#[test]
fn a_service_of_the_stock_cli_survives_a_round_trip() {
    let text = concat!(
        r#"{"Name":"web","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"nginx:latest","Init":false,"DNSConfig":{}},"#,
        r#""Resources":{"Limits":{},"Reservations":{}},"Placement":{},"ForceUpdate":0,"Runtime":"container"},"#,
        r#""Mode":{"Replicated":{"Replicas":0}},"#,
        r#""EndpointSpec":{"Mode":"vip","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishMode":"host"}]}}"#,
    );
    assert_eq!(round_trip(text), text);
}

#[test]
fn null_is_the_same_as_absent() {
    assert_eq!(
        round_trip(
            r#"{"Name":"a","Labels":null,"TaskTemplate":null,"Mode":null,"EndpointSpec":null}"#
        ),
        r#"{"Name":"a","Labels":{},"TaskTemplate":{"ForceUpdate":0},"Mode":{}}"#
    );
}

#[test]
fn an_unknown_word_is_kept_for_the_validator_to_name() {
    let policy: RestartPolicy = serde_json::from_str(r#"{"Condition":"sometimes"}"#).unwrap();
    assert_eq!(
        policy.condition,
        Some(RestartCondition::Other("sometimes".to_owned()))
    );
}

#[test]
fn keys_match_in_any_case() {
    assert_eq!(
        round_trip(r#"{"name":"a","taskTEMPLATE":{"containerspec":{"image":"b"}}}"#),
        r#"{"Name":"a","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"b"},"ForceUpdate":0},"Mode":{}}"#
    );
}

#[test]
fn a_secret_is_never_in_a_debug_print() {
    let secret = SecretSpec {
        name: "s".to_owned(),
        data: b"password".to_vec().into(),
        ..SecretSpec::default()
    };
    let shown = format!("{secret:?}");
    assert!(!shown.contains("cGFz") && !shown.contains("password"));
}
