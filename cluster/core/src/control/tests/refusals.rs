//! Every text with which a service spec is refused, one row each.

use super::*;
use crate::control::service::{UpdateOptions, update};

fn refusal(patch: &Value) -> String {
    let state = State::default();
    match create(
        &state,
        spec(patch.clone()),
        None,
        NOW,
        &mut Counter::default(),
    ) {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => said(&fault),
    }
}

fn check(rows: &[(Value, &str)]) {
    for (patch, text) in rows {
        assert_eq!(refusal(patch), *text, "{patch}");
    }
    println!("{} refusals", rows.len());
}

fn container(patch: Value) -> Value {
    json!({"TaskTemplate": {"ContainerSpec": patch}})
}

fn template(patch: Value) -> Value {
    json!({"TaskTemplate": patch})
}

#[test]
fn the_daemon_refuses_what_it_cannot_convert() {
    let ports = json!([{"TargetPort": 80}]);
    check(&[
        (
            template(json!({"Runtime": "wasm"})),
            "InvalidArgument: unsupported runtime",
        ),
        (
            template(json!({"Runtime": "attachment"})),
            "InvalidArgument: unsupported runtime",
        ),
        (
            template(json!({"ContainerSpec": null})),
            "InvalidArgument: mismatched Runtime and *Spec fields",
        ),
        (
            template(json!({"Runtime": "plugin"})),
            "InvalidArgument: mismatched Runtime and *Spec fields",
        ),
        (
            json!({"TaskTemplate": {"Runtime": "plugin", "PluginSpec": {}}, "Mode": {"Replicated": {}}}),
            "InvalidArgument: plugins must not use replicated mode",
        ),
        (
            template(json!({"RestartPolicy": {"Condition": "sometimes"}})),
            "InvalidArgument: invalid RestartCondition: \"sometimes\"",
        ),
        (
            template(json!({"Resources": {"SwapBytes": 1048576}})),
            "InvalidArgument: memory swap provided, but no memory-limit was set",
        ),
        (
            json!({"UpdateConfig": {"FailureAction": "explode"}}),
            "InvalidArgument: unrecognized update failure action explode",
        ),
        (
            json!({"RollbackConfig": {"FailureAction": "Pause"}}),
            "InvalidArgument: unrecognized update failure action Pause",
        ),
        (
            json!({"UpdateConfig": {"Order": "both"}}),
            "InvalidArgument: unrecognized update order both",
        ),
        (
            json!({"EndpointSpec": {"Mode": "VIP", "Ports": ports}}),
            "InvalidArgument: invalid resolution mode: \"VIP\"",
        ),
        (
            json!({"Mode": {"Replicated": {}, "Global": {}}}),
            "InvalidArgument: must specify only one service mode",
        ),
        (
            container(json!({"Privileges": {"CredentialSpec": {}}})),
            "InvalidArgument: invalid CredentialSpec: must either provide \"file\", \"registry\", or \"config\" for credential spec",
        ),
        (
            container(json!({"Privileges": {"CredentialSpec": {"Config": "a", "File": "b"}}})),
            "InvalidArgument: invalid CredentialSpec: cannot specify both \"config\" and \"file\" credential specs",
        ),
        (
            container(
                json!({"Privileges": {"CredentialSpec": {"Config": "a", "File": "b", "Registry": "c"}}}),
            ),
            "InvalidArgument: invalid CredentialSpec: cannot specify both \"config\", \"file\", and \"registry\" credential specs",
        ),
        (
            container(json!({"Configs": [{"ConfigID": "i", "ConfigName": "n"}]})),
            "InvalidArgument: invalid Config: either File or Runtime should be set",
        ),
        (
            container(json!({"Configs": [{"File": {"Name": "f"}, "Runtime": {}}]})),
            "InvalidArgument: invalid Config: cannot specify both File and Runtime",
        ),
        (
            container(json!({"Mounts": [{"Type": "floppy", "Target": "/a"}]})),
            "InvalidArgument: invalid MountType: \"floppy\"",
        ),
        (
            container(json!({"Mounts": [{"Type": "image", "Target": "/a"}]})),
            "InvalidArgument: invalid MountType: \"image\"",
        ),
        (
            container(
                json!({"Mounts": [{"Target": "/a", "BindOptions": {"Propagation": "loud"}}]}),
            ),
            "InvalidArgument: invalid MountPropagation: \"loud\"",
        ),
    ]);
}

#[test]
fn the_manager_refuses_names_that_dns_would() {
    let long = "x".repeat(64);
    let dns = "manager InvalidArgument: name must be valid as a DNS name component";
    check(&[
        (json!({"Name": "a.b"}), dns),
        (json!({"Name": "-a"}), dns),
        (json!({"Name": "a_"}), dns),
        (json!({"Name": "a b"}), dns),
        (json!({"Name": "é"}), dns),
        (json!({"Name": "a\n"}), dns),
        (
            json!({"Name": long}),
            "manager InvalidArgument: name must be 63 characters or fewer",
        ),
    ]);
    assert_eq!(refusal(&json!({"Name": "x".repeat(63)})), "accepted");
    assert_eq!(refusal(&json!({"Name": "A-_-9"})), "accepted");
}

#[test]
fn the_manager_refuses_what_makes_no_task() {
    let limits = |limits: Value| template(json!({"Resources": {"Limits": limits}}));
    let reserved = |own: Value| template(json!({"Resources": {"Reservations": own}}));
    let restart = |policy: Value| template(json!({"RestartPolicy": policy}));
    let constraint = |text: &str| template(json!({"Placement": {"Constraints": [text]}}));
    check(&[
        (
            limits(json!({"NanoCPUs": 500000})),
            "manager InvalidArgument: invalid cpu value 0.0005: Must be at least 0.001",
        ),
        (
            reserved(json!({"NanoCPUs": -1})),
            "manager InvalidArgument: invalid cpu value -1e-09: Must be at least 0.001",
        ),
        (
            limits(json!({"MemoryBytes": 4194303})),
            "manager InvalidArgument: invalid memory value 4194303: Must be at least 4MiB",
        ),
        (
            reserved(json!({"MemoryBytes": 1})),
            "manager InvalidArgument: invalid memory value 1: Must be at least 4MiB",
        ),
        (
            restart(json!({"Delay": -1})),
            "manager InvalidArgument: TaskSpec: restart-delay cannot be negative",
        ),
        (
            restart(json!({"Window": -1})),
            "manager InvalidArgument: TaskSpec: restart-window cannot be negative",
        ),
        (
            constraint("node.role"),
            "manager Unknown: constraint expected one operator from ==, !=",
        ),
        (constraint("1 == a"), "manager Unknown: key '1' is invalid"),
        (
            constraint("node.id == "),
            "manager Unknown: value '' is invalid",
        ),
    ]);
}

#[test]
fn the_manager_refuses_references_that_are_incomplete_or_collide() {
    let file = |name: &str| json!({"Name": name});
    let secret =
        |name: &str, file: Value| json!({"SecretID": "i", "SecretName": name, "File": file});
    let config =
        |name: &str, file: Value| json!({"ConfigID": "i", "ConfigName": name, "File": file});
    check(&[
        (
            container(json!({"Secrets": [{"SecretName": "n"}]})),
            "manager InvalidArgument: malformed secret reference",
        ),
        (
            container(json!({"Secrets": [{"SecretID": "i", "SecretName": "n"}]})),
            "manager InvalidArgument: malformed secret reference, no target provided",
        ),
        (
            container(json!({"Secrets": [secret("n", file(""))]})),
            "manager InvalidArgument: malformed file secret reference, invalid target file name provided",
        ),
        (
            container(json!({"Secrets": [secret("a", file("t")), secret("b", file("t"))]})),
            "manager InvalidArgument: secret references 'a' and 'b' have a conflicting target: 't'",
        ),
        (
            container(json!({"Configs": [{"ConfigID": "i", "Runtime": {}}]})),
            "manager InvalidArgument: malformed config reference",
        ),
        (
            container(json!({"Configs": [config("n", file(""))]})),
            "manager InvalidArgument: malformed file config reference, invalid target file name provided",
        ),
        (
            container(json!({"Configs": [config("a", file("t")), config("b", file("t"))]})),
            "manager InvalidArgument: config references 'a' and 'b' have a conflicting target: 't'",
        ),
        (
            container(
                json!({"Privileges": {"CredentialSpec": {"Config": "x"}}, "Configs": [config("a", file("t"))]}),
            ),
            "manager InvalidArgument: CredentialSpec references config 'x', but that config isn't in config references with RuntimeTarget",
        ),
    ]);
}

#[test]
fn the_manager_refuses_containers_that_cannot_be() {
    let health = |health: Value| container(json!({"Healthcheck": health}));
    check(&[
        (
            container(json!({"Env": ["A={{.X}}"]})),
            "manager InvalidArgument: expanding env failed: expanding env \"A={{.X}}\": template: expansion:1:2: executing \"expansion\" at <.X>: can't evaluate field X in type *template.Context",
        ),
        (
            container(json!({"Hostname": "{{"})),
            "manager InvalidArgument: expanding hostname failed: template: expansion:1: unclosed action",
        ),
        (
            container(json!({"Mounts": [{"Source": "{{", "Target": "/a"}]})),
            "manager InvalidArgument: expanding mounts failed: expanding mount source \"{{\": template: expansion:1: unclosed action",
        ),
        (
            container(json!({"Image": null})),
            "manager InvalidArgument: ContainerSpec: image reference must be provided",
        ),
        (
            container(json!({"Image": "Bad Image"})),
            "manager InvalidArgument: ContainerSpec: \"Bad Image\" is not a valid repository/tag",
        ),
        (
            container(json!({"Mounts": [{"Target": "/1"}, {"Target": "/{{.Task.Slot}}"}]})),
            "manager InvalidArgument: ContainerSpec: duplicate mount point: /1",
        ),
        (
            health(json!({"Interval": 999999})),
            "manager InvalidArgument: ContainerSpec: Interval in HealthConfig cannot be less than 1ms",
        ),
        (
            health(json!({"Timeout": -1})),
            "manager InvalidArgument: ContainerSpec: Timeout in HealthConfig cannot be less than 1ms",
        ),
        (
            health(json!({"StartPeriod": 1})),
            "manager InvalidArgument: ContainerSpec: StartPeriod in HealthConfig cannot be less than 1ms",
        ),
        (
            health(json!({"StartInterval": 1})),
            "manager InvalidArgument: ContainerSpec: StartInterval in HealthConfig cannot be less than 1ms",
        ),
        (
            health(json!({"Retries": -1})),
            "manager InvalidArgument: ContainerSpec: Retries in HealthConfig cannot be negative",
        ),
    ]);
}

#[test]
fn the_manager_refuses_modes_updates_and_endpoints_out_of_range() {
    let huge = u64::MAX;
    let ports = |mode: &str, ports: Value| json!({"EndpointSpec": {"Mode": mode, "Ports": ports}});
    let twice = json!([
        {"PublishedPort": 80, "TargetPort": 1, "PublishMode": "host"},
        {"PublishedPort": 80, "TargetPort": 2},
    ]);
    let ratio = "manager InvalidArgument: TaskSpec: update-maxfailureratio cannot be less than 0 or bigger than 1";
    check(&[
        (
            json!({"Mode": {"Replicated": {"Replicas": huge}}}),
            "manager InvalidArgument: Number of replicas must be non-negative",
        ),
        (
            json!({"Mode": {"ReplicatedJob": {"MaxConcurrent": huge}}}),
            "manager InvalidArgument: Maximum concurrent jobs must not be negative",
        ),
        (
            json!({"Mode": {"ReplicatedJob": {"TotalCompletions": huge}}}),
            "manager InvalidArgument: Total completed jobs must not be negative",
        ),
        (
            json!({"Mode": {"GlobalJob": {}}, "UpdateConfig": {}}),
            "manager InvalidArgument: Jobs may not have an update config",
        ),
        (
            json!({"UpdateConfig": {"Delay": -1}}),
            "manager InvalidArgument: TaskSpec: update-delay cannot be negative",
        ),
        (
            json!({"UpdateConfig": {"Monitor": -1}}),
            "manager InvalidArgument: TaskSpec: update-monitor cannot be negative",
        ),
        (json!({"UpdateConfig": {"MaxFailureRatio": 1.5}}), ratio),
        (json!({"UpdateConfig": {"MaxFailureRatio": -0.1}}), ratio),
        (
            ports("dnsrr", json!([{"TargetPort": 80}])),
            "manager InvalidArgument: EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
        ),
        (
            ports("vip", twice),
            "manager InvalidArgument: EndpointSpec: duplicate published ports provided",
        ),
    ]);
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    let built =
        |what: &str| format!("Unimplemented: {what} is not available in this release of swarmrs");
    let rows = [(
        container(json!({"Mounts": [{"Type": "cluster", "Source": "v", "Target": "/a"}]})),
        "mounting cluster volumes",
    )];
    for (patch, what) in &rows {
        assert_eq!(refusal(patch), built(what), "{patch}");
    }
    println!("{} refusals", rows.len());
}

#[test]
fn the_mesh_needs_its_network() {
    let patch = json!({"EndpointSpec": {"Ports": [{"TargetPort": 80}]}});
    let why = "manager FailedPrecondition: service needs ingress network, but no ingress network is present";
    assert_eq!(refusal(&patch), why);
}

#[test]
fn what_docker_does_not_check_is_not_checked() {
    for patch in [
        template(
            json!({"Resources": {"Limits": {"MemoryBytes": 4194304}, "Reservations": {"MemoryBytes": 8388608}}}),
        ),
        json!({"RollbackConfig": {"Delay": -1, "FailureAction": "rollback", "MaxFailureRatio": 7}}),
        json!({"EndpointSpec": {"Ports": [{"PublishMode": "host", "PublishedPort": 99999, "TargetPort": 0}]}}),
        json!({"EndpointSpec": {"Ports": [
            {"PublishMode": "host", "PublishedPort": 53, "Protocol": "udp"},
            {"PublishMode": "host", "PublishedPort": 53, "Protocol": "tcp"},
            {"PublishMode": "host", "TargetPort": 1}, {"PublishMode": "host", "TargetPort": 2},
        ]}}),
        container(json!({"Mounts": [{"Source": "not/absolute", "Target": "nor/this"}]})),
        template(json!({"Placement": {"Constraints": ["no.such.key == x"], "MaxReplicas": 1}})),
        json!({"Mode": {"Replicated": {"Replicas": 0}}}),
    ] {
        assert_eq!(refusal(&patch), "accepted", "{patch}");
    }
}

#[test]
fn an_update_is_refused_in_the_managers_order() {
    let (mut state, mut ids) = (State::default(), Counter::default());
    let id = made(&mut state, &mut ids, json!({}));
    let other = made(&mut state, &mut ids, json!({"Name": "web2"}));
    let refusal = |term: &str, version: u64, patch: Value, rollback: bool| {
        let options = UpdateOptions {
            rollback,
            ..UpdateOptions::default()
        };
        let plan = update(&state, term, version, spec(patch), options, NOW, wall());
        said(&plan.unwrap_err())
    };
    let global = json!({"Mode": {"Global": {}}});
    let without_previous =
        format!("manager FailedPrecondition: service {id} does not have a previous spec");
    for (refusal, text) in [
        (
            refusal("nope", 1, json!({}), false),
            "NotFound: service nope not found",
        ),
        (
            refusal("000", 1, json!({}), false),
            "InvalidArgument: service 000 is ambiguous (2 matches found)",
        ),
        (
            refusal("nope", 1, json!({"EndpointSpec": {"Mode": "x"}}), false),
            "InvalidArgument: invalid resolution mode: \"x\"",
        ),
        (
            refusal("web", 9, json!({"Name": "a.b"}), true),
            "manager InvalidArgument: name must be valid as a DNS name component",
        ),
        (
            refusal("web", 9, global, true),
            "manager Unimplemented: service mode change is not allowed",
        ),
        (
            refusal("web", 9, json!({"Name": "other"}), true),
            "manager Unimplemented: renaming services is not supported",
        ),
        (
            refusal("web", 9, json!({"Name": null}), false),
            "manager Unimplemented: renaming services is not supported",
        ),
        (
            refusal("web", 9, json!({}), true),
            without_previous.as_str(),
        ),
        (
            refusal(other.as_str(), 9, json!({"Name": "web2"}), false),
            "manager Unknown: update out of sequence",
        ),
    ] {
        assert_eq!(refusal, text);
    }
}
