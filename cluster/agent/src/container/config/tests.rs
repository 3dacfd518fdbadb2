//! Orders and the bodies they become, whole.

use super::*;
use crate::executor::fake::{node as node_id, order, task};
use swarmrs_types::object::RegistryAuth;
use swarmrs_types::spec::Mount;

fn node(minor: u16) -> Node {
    Node {
        id: node_id().to_string(),
        hostname: "host".into(),
        architecture: "x86_64".into(),
        os: "linux".into(),
        api: ApiVersion { major: 1, minor },
        secrets: "/exec/secrets".into(),
    }
}

fn spec(task: Value) -> Order {
    let mut order = order(1);
    order.spec = serde_json::from_value(task).unwrap();
    order
}

fn body(task: Value) -> Value {
    request(&spec(task), &node(46)).unwrap().container
}

#[test]
fn what_a_task_was_given_of_its_node_is_in_its_environment() {
    let mut order = spec(json!({"ContainerSpec": {"Image": "app:1", "Env": ["A=b"]}}));
    order.resources = serde_json::from_value(json!([
        {"NamedResourceSpec": {"Kind": "NVIDIA-gpu", "Value": "UUID1"}},
        {"DiscreteResourceSpec": {"Kind": "ssd", "Value": 3}},
        {"NamedResourceSpec": {"Kind": "NVIDIA-gpu", "Value": "UUID2"}},
    ]))
    .unwrap();
    let body = request(&order, &node(46)).unwrap().container;
    let expected = json!([
        "A=b",
        "DOCKER_RESOURCE_NVIDIA-GPU=UUID1,UUID2",
        "DOCKER_RESOURCE_SSD=3"
    ]);
    assert_eq!(body["Env"], expected);
}

fn refusal(container: Value) -> String {
    let order = spec(json!({ "ContainerSpec": container }));
    request(&order, &node(41)).unwrap_err().to_string()
}

fn system_labels() -> Map<String, Value> {
    let labels = json!({
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task(1).to_string(),
        "com.docker.swarm.task.name": format!("web.1.{}", task(1)),
        "com.docker.swarm.node.id": node_id().to_string(),
        "com.docker.swarm.service.id": "0000000000000000000000web",
        "com.docker.swarm.service.name": "web",
    });
    labels.as_object().unwrap().clone()
}

#[test]
fn a_plain_order_asks_for_an_image_and_labels_and_nothing_else() {
    let host = json!({"PortBindings": {}, "Ulimits": []});
    let expected =
        json!({"Image": "busybox:latest", "Labels": system_labels(), "HostConfig": host});
    assert_eq!(
        body(json!({"ContainerSpec": {"Image": "docker.io/library/busybox"}})),
        expected
    );
}

#[test]
fn every_field_of_a_container_reaches_the_engine() {
    let mut labels = system_labels();
    labels.insert("tier".into(), json!("front"));
    let spec = json!({"ContainerSpec": {
        "Image": "app:1@sha256:00", "Labels": {"tier": "front", "com.docker.swarm.task.id": "forged"},
        "Command": ["serve"], "Args": ["--fast"], "Hostname": "{{.Node.Hostname}}-{{.Task.Slot}}",
        "Env": ["A=1", "ME={{.Task.Name}}", "BARE"], "Dir": "/srv", "User": "1:1", "Groups": ["7"],
        "Privileges": {
            "CredentialSpec": {"Config": "", "File": "f.json", "Registry": ""},
            "SELinuxContext": {"Disable": true, "User": "u", "Role": "r", "Type": "t", "Level": "l"},
            "Seccomp": {"Mode": "custom", "Profile": "e30="}, "AppArmor": {"Mode": "disabled"},
            "NoNewPrivileges": true,
        },
        "Init": true, "StopSignal": "SIGINT", "TTY": true, "OpenStdin": true, "ReadOnly": true,
        "StopGracePeriod": 2_500_000_000_i64,
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000, "Timeout": 2_000_000,
            "StartPeriod": 3_000_000, "StartInterval": 4_000_000, "Retries": 5},
        "Hosts": ["10.0.0.1 db database", "10.0.0.2 cache"],
        "DNSConfig": {"Nameservers": ["1.1.1.1"], "Search": ["lan"], "Options": ["ndots:1"]},
        "Isolation": "default", "Sysctls": {"net.core.somaxconn": "9"},
        "CapabilityAdd": ["CAP_NET_ADMIN"], "CapabilityDrop": ["CAP_CHOWN"],
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "OomScoreAdj": 100,
    }});
    let expected = json!({
        "Image": "app:1@sha256:00", "Labels": labels, "Entrypoint": ["serve"], "Cmd": ["--fast"],
        "Hostname": "host-1", "Env": ["A=1", format!("ME=web.1.{}", task(1)), "BARE"],
        "WorkingDir": "/srv", "User": "1:1", "StopSignal": "SIGINT", "StopTimeout": 2,
        "Tty": true, "OpenStdin": true,
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1_000_000, "Timeout": 2_000_000,
            "StartPeriod": 3_000_000, "StartInterval": 4_000_000, "Retries": 5},
        "HostConfig": {
            "GroupAdd": ["7"], "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["CAP_CHOWN"],
            "SecurityOpt": ["credentialspec=file://f.json", "label=disable", "label=user:u",
                "label=role:r", "label=level:l", "label=type:t", "seccomp={}",
                "apparmor=unconfined", "no-new-privileges=true"],
            "ExtraHosts": ["db:10.0.0.1", "cache:10.0.0.2"], "OomScoreAdj": 100,
            "ReadonlyRootfs": true, "Init": true, "Isolation": "default",
            "Sysctls": {"net.core.somaxconn": "9"},
            "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}], "PortBindings": {},
            "Dns": ["1.1.1.1"], "DnsSearch": ["lan"], "DnsOptions": ["ndots:1"],
        },
    });
    assert_eq!(body(spec), expected);
}

#[test]
fn only_limits_reach_the_container_and_swap_comes_on_top() {
    let spec = json!({
        "ContainerSpec": {"Image": "app:1"},
        "Resources": {
            "Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 100, "Pids": 10},
            "Reservations": {"NanoCPUs": 1, "MemoryBytes": 2, "GenericResources": [
                {"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}},
            ]},
            "SwapBytes": 50, "MemorySwappiness": 0,
        },
        "LogDriver": {"Name": "json-file", "Options": {"max-size": "1m"}},
        "Networks": [{"Target": "host"}],
    });
    let expected = json!({
        "Image": "app:1", "Labels": system_labels(),
        "HostConfig": {
            "NanoCpus": 500_000_000, "Memory": 100, "PidsLimit": 10, "MemorySwap": 150,
            "MemorySwappiness": 0, "NetworkMode": "host", "PortBindings": {}, "Ulimits": [],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        },
    });
    assert_eq!(body(spec), expected);
    let unlimited = body(json!({
        "ContainerSpec": {"Image": "app:1"},
        "Resources": {"Limits": {"MemoryBytes": 100}, "SwapBytes": -1},
    }));
    assert_eq!(
        unlimited["HostConfig"],
        json!({"Memory": 100, "MemorySwap": -1, "PortBindings": {}, "Ulimits": []})
    );
}

#[test]
fn host_ports_are_exposed_and_bound_a_free_one_where_none_is_named() {
    let mut order = spec(json!({"ContainerSpec": {"Image": "app:1"}}));
    order.ports = serde_json::from_value(json!([
        {"TargetPort": 80, "PublishedPort": 8080, "Protocol": "tcp", "PublishMode": "host"},
        {"TargetPort": 80, "PublishedPort": 8081, "PublishMode": "host"},
        {"TargetPort": 53, "Protocol": "udp", "PublishMode": "host"},
    ]))
    .unwrap();
    let body = request(&order, &node(41)).unwrap().container;
    assert_eq!(body["ExposedPorts"], json!({"80/tcp": {}, "53/udp": {}}));
    let expected = json!({
        "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}],
        "53/udp": [{"HostPort": ""}],
    });
    assert_eq!(body["HostConfig"]["PortBindings"], expected);
}

#[test]
fn mounts_are_expanded_and_their_volumes_made_first() {
    let order = spec(json!({"ContainerSpec": {"Image": "app:1", "Mounts": [
        {"Source": "/data/{{.Task.Slot}}", "Target": "/{{.Service.Name}}", "ReadOnly": true,
            "BindOptions": {"Propagation": "rslave", "NonRecursive": true}},
        {"Type": "volume", "Source": "v-{{.Task.Slot}}", "Target": "/v", "VolumeOptions": {
            "NoCopy": true, "Labels": {"slot": "{{.Task.Slot}}"},
            "DriverConfig": {"Name": "local", "Options": {"device": "/d{{.Task.Slot}}"}}}},
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 511}},
    ]}}));
    let request = request(&order, &node(41)).unwrap();
    let volume = json!({"Name": "v-1", "Driver": "local", "DriverOpts": {"device": "/d1"},
        "Labels": {"slot": "1"}});
    assert_eq!(request.volumes, [volume]);
    let mounts = json!([
        {"Type": "bind", "Source": "/data/1", "Target": "/web", "ReadOnly": true,
            "BindOptions": {"Propagation": "rslave", "NonRecursive": true}},
        {"Type": "volume", "Source": "v-1", "Target": "/v", "VolumeOptions": {
            "NoCopy": true, "Labels": {"slot": "1"},
            "DriverConfig": {"Name": "local", "Options": {"device": "/d1"}}}},
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 511}},
    ]);
    assert_eq!(request.container["HostConfig"]["Mounts"], mounts);
}

#[test]
fn mounts_are_refused_in_dockers_words() {
    for (mount, text) in [
        (
            json!({"Source": "/a", "Target": "b"}),
            "invalid mount target, must be an absolute path: b",
        ),
        (
            json!({"Source": "a", "Target": "/b"}),
            "invalid bind mount source, must be an absolute path: a",
        ),
        (
            json!({"Type": "volume", "Source": "/a", "Target": "/b"}),
            "invalid volume mount source, must not be an absolute path: /a",
        ),
        (
            json!({"Type": "tmpfs", "Source": "a", "Target": "/b"}),
            "invalid tmpfs source, source must be empty",
        ),
        (
            json!({"Type": "npipe", "Target": "/b"}),
            "invalid npipe source, source must not be empty",
        ),
        (
            json!({"Type": "floppy", "Target": "/b"}),
            "invalid mount type: floppy",
        ),
    ] {
        let mount: Mount = serde_json::from_value(mount).unwrap();
        assert_eq!(refusal(json!({"Image": "app", "Mounts": [mount]})), text);
    }
}

#[test]
fn a_template_that_fails_names_its_field() {
    let text = refusal(json!({"Image": "app", "Env": ["A={{.Nope}}"]}));
    assert!(
        text.starts_with("expanding env failed: expanding env \"A={{.Nope}}\": template:"),
        "{text}"
    );
}

#[test]
fn what_the_engine_would_leave_out_is_refused() {
    let check = json!({"Image": "app", "Healthcheck": {"StartInterval": 1_000_000}});
    let expected = "ContainerSpec.Healthcheck.StartInterval needs Engine API 1.44, the engine of this node has 1.41";
    assert_eq!(refusal(check), expected);
    let plugin = spec(json!({"Runtime": "plugin"}));
    assert!(request(&plugin, &node(41)).is_err());
}

#[test]
fn secrets_and_configs_are_read_only_files_of_ours() {
    let body = body(json!({"ContainerSpec": {
        "Image": "app:1",
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v"}],
        "Secrets": [{"SecretID": "s", "SecretName": "s", "File": {"Name": "key"}}],
        "Configs": [
            {"ConfigID": "r", "ConfigName": "r", "Runtime": {}},
            {"ConfigID": "c", "ConfigName": "c", "File": {"Name": "/etc/app.conf"}},
        ],
    }}));
    let file = |name: &str, target: &str| {
        let source = format!("/exec/secrets/{}/{name}", task(1));
        json!({"Type": "bind", "Source": source, "Target": target, "ReadOnly": true})
    };
    assert_eq!(
        body["HostConfig"]["Mounts"],
        json!([
            {"Type": "volume", "Source": "v", "Target": "/v"},
            file("secret-0", "/run/secrets/key"),
            file("config-1", "/etc/app.conf"),
        ])
    );
}

#[test]
fn a_task_without_a_slot_is_called_after_its_node() {
    let mut order =
        spec(json!({"ContainerSpec": {"Image": "app:1", "Hostname": "h-{{.Task.Slot}}"}}));
    order.slot = 0;
    let body = request(&order, &node(41)).unwrap().container;
    assert_eq!(body["Hostname"], json!(format!("h-{}", node_id())));
}

#[test]
fn a_credential_is_no_part_of_the_container() {
    let mut order = spec(json!({"ContainerSpec": {"Image": "app:1"}}));
    order.registry_auth = Some(RegistryAuth("canary".into()));
    let body = request(&order, &node(41)).unwrap().container;
    assert!(!body.to_string().contains("canary"));
}

#[test]
fn a_network_of_the_engine_is_named_with_its_options_and_without_aliases() {
    let network = json!([{"Target": "bridge", "Aliases": ["x"], "DriverOpts": {"a": "b"}}]);
    let body = body(json!({"ContainerSpec": {"Image": "app:1"}, "Networks": network}));
    assert_eq!(body["HostConfig"]["NetworkMode"], "bridge");
    let endpoints = json!({"EndpointsConfig": {"bridge": {"DriverOpts": {"a": "b"}}}});
    assert_eq!(body["NetworkingConfig"], endpoints);
}

#[test]
fn an_isolation_of_windows_is_refused_in_the_daemons_words() {
    assert_eq!(
        refusal(json!({"Image": "app:1", "Isolation": "hyperv"})),
        "invalid isolation 'hyperv' on linux"
    );
}

#[test]
fn networks_of_the_engine_exclude_each_other_in_its_own_words() {
    let refusal = |names: [&str; 2]| {
        let networks = names.map(|name| json!({ "Target": name }));
        let order = spec(json!({"ContainerSpec": {"Image": "app:1"}, "Networks": networks}));
        request(&order, &node(41)).map_err(|unfit| unfit.to_string())
    };
    assert!(refusal(["bridge", "bridge"]).is_ok());
    assert_eq!(
        refusal(["bridge", "host"]).unwrap_err(),
        "container sharing network namespace with another container or host cannot be connected to any other network"
    );
    assert_eq!(
        refusal(["none", "bridge"]).unwrap_err(),
        "container cannot be connected to multiple networks with one of the networks in private (none) mode"
    );
}
