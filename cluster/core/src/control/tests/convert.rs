//! What a spec looks like once it is stored.

use super::*;
use crate::control::convert;

fn stored(patch: Value) -> Value {
    let spec = convert::service(spec(patch)).unwrap();
    serde_json::to_value(spec).unwrap()
}

fn container(patch: Value) -> Value {
    stored(json!({"TaskTemplate": {"ContainerSpec": patch}}))["TaskTemplate"]["ContainerSpec"]
        .clone()
}

#[test]
fn only_what_every_answer_shows_is_filled_in() {
    let expected = json!({
        "Name": "web", "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {"Image": "nginx", "Isolation": "default"},
            "ForceUpdate": 0, "Runtime": "container",
        },
        "Mode": {"Replicated": {"Replicas": 1}},
    });
    assert_eq!(stored(json!({})), expected);
}

#[test]
fn objects_that_are_given_empty_get_their_words() {
    let empty = json!({
        "TaskTemplate": {"RestartPolicy": {}, "Resources": {"Limits": {}, "Reservations": {}}, "Placement": {}},
        "UpdateConfig": {}, "RollbackConfig": {"FailureAction": "", "Order": ""}, "EndpointSpec": {},
    });
    let found = stored(empty);
    let config = json!({
        "Parallelism": 0, "FailureAction": "pause", "MaxFailureRatio": 0.0, "Order": "stop-first",
    });
    assert_eq!(found["UpdateConfig"], config);
    assert_eq!(found["RollbackConfig"], config);
    assert_eq!(found["EndpointSpec"], json!({"Mode": "vip"}));
    let template = &found["TaskTemplate"];
    assert_eq!(
        template["RestartPolicy"],
        json!({"Condition": "any", "MaxAttempts": 0})
    );
    assert_eq!(
        template["Resources"],
        json!({"Limits": {}, "Reservations": {}})
    );
    assert_eq!(template["Placement"], json!({}));
}

#[test]
fn modes_get_their_counts() {
    for (given, kept) in [
        (
            json!({"Replicated": {}}),
            json!({"Replicated": {"Replicas": 1}}),
        ),
        (
            json!({"Replicated": {"Replicas": 0}}),
            json!({"Replicated": {"Replicas": 0}}),
        ),
        (json!({"Global": {}}), json!({"Global": {}})),
        (
            json!({"ReplicatedJob": {"MaxConcurrent": 3}}),
            json!({"ReplicatedJob": {"MaxConcurrent": 3, "TotalCompletions": 3}}),
        ),
    ] {
        assert_eq!(stored(json!({"Mode": given}))["Mode"], kept);
    }
}

#[test]
fn ports_are_read_leniently() {
    let ports = json!([
        {"TargetPort": 1},
        {"TargetPort": 2, "Protocol": "UDP", "PublishMode": "Host"},
        {"TargetPort": 3, "Protocol": "foo", "PublishMode": "foo"},
    ]);
    let kept = json!([
        {"Protocol": "tcp", "TargetPort": 1, "PublishMode": "ingress"},
        {"Protocol": "udp", "TargetPort": 2, "PublishMode": "host"},
        {"Protocol": "tcp", "TargetPort": 3, "PublishMode": "ingress"},
    ]);
    assert_eq!(
        stored(json!({"EndpointSpec": {"Ports": ports}}))["EndpointSpec"]["Ports"],
        kept
    );
}

#[test]
fn mounts_are_named_and_lose_what_services_do_not_have() {
    let mounts = json!([
        {"Source": "/a", "Target": "/a", "Consistency": "cached", "BindOptions": {}},
        {"Type": "BIND", "Target": "/b", "BindOptions": {"NonRecursive": true}},
        {"Type": "tmpfs", "Target": "/c"},
        {"Type": "bind", "Target": "/d", "BindOptions": {"Propagation": "RShared"}},
    ]);
    let kept = json!([
        {"Type": "bind", "Source": "/a", "Target": "/a"},
        {"Type": "bind", "Target": "/b", "BindOptions": {"Propagation": "rprivate", "NonRecursive": true}},
        {"Type": "tmpfs", "Target": "/c"},
        {"Type": "bind", "Target": "/d", "BindOptions": {"Propagation": "rshared"}},
    ]);
    assert_eq!(container(json!({"Mounts": mounts}))["Mounts"], kept);
}

#[test]
fn unknown_kinds_of_isolation_and_confinement_are_the_default() {
    assert_eq!(
        container(json!({"Isolation": "HyperV"}))["Isolation"],
        "hyperv"
    );
    assert_eq!(
        container(json!({"Isolation": "foo"}))["Isolation"],
        "default"
    );
    let privileges = json!({"Seccomp": {"Mode": "foo"}, "AppArmor": {}});
    let found = container(json!({"Privileges": privileges}));
    assert_eq!(found["Privileges"]["Seccomp"]["Mode"], "default");
    assert_eq!(found["Privileges"]["AppArmor"]["Mode"], "default");
    let kept =
        json!({"Seccomp": {"Mode": "custom", "Profile": "e30="}, "AppArmor": {"Mode": "disabled"}});
    let found = container(json!({"Privileges": kept}));
    assert_eq!(found["Privileges"]["Seccomp"], kept["Seccomp"]);
    assert_eq!(found["Privileges"]["AppArmor"], kept["AppArmor"]);
}

#[test]
fn preferences_that_say_nothing_are_dropped() {
    let preferences = json!([{"Spread": null}, {"Spread": {"SpreadDescriptor": "node.labels.az"}}]);
    let found = stored(json!({"TaskTemplate": {"Placement": {"Preferences": preferences}}}));
    let kept = json!([{"Spread": {"SpreadDescriptor": "node.labels.az"}}]);
    assert_eq!(found["TaskTemplate"]["Placement"]["Preferences"], kept);
}

#[test]
fn old_clients_networks_move_to_the_template_unless_it_has_its_own() {
    let old = json!([{"Target": "old"}]);
    let found = stored(json!({"Networks": old}));
    assert_eq!(
        (&found["Networks"], &found["TaskTemplate"]["Networks"]),
        (&Value::Null, &old)
    );
    let new = json!([{"Target": "new"}]);
    let found = stored(json!({"Networks": old, "TaskTemplate": {"Networks": new}}));
    assert_eq!(
        (&found["Networks"], &found["TaskTemplate"]["Networks"]),
        (&Value::Null, &new)
    );
}

#[test]
fn converting_twice_changes_nothing() {
    let patch = json!({
        "TaskTemplate": {"RestartPolicy": {}, "ContainerSpec": {"Mounts": [{"Target": "/a"}]}},
        "UpdateConfig": {}, "EndpointSpec": {"Ports": [{"TargetPort": 1}]},
    });
    let once = convert::service(spec(patch)).unwrap();
    assert_eq!(convert::service(once.clone()), Ok(once));
}
