//! Whole objects, byte for byte.

use super::*;
use serde_json::json;
use std::sync::Arc;
use swarmrs_core::{Change, Command, Expect, Object, State};
use swarmrs_types::endpoint::Segment;
use swarmrs_types::object::{
    self, Allocated, Attached, CertIssuer, Cluster, ContainerStatus, Endpoint, JoinTokens,
    NodeState, RootCa, RootRotation, SpecVersion, TaskOrigin, TaskStatus, UpdateState,
    UpdateStatus, VirtualIp,
};
use swarmrs_types::spec::{
    NodeDescription, PortConfig, Protocol, PublishMode, ServiceSpec, SwarmSpec, TlsInfo,
};
use swarmrs_types::{ClusterTime, NodeId, TaskState};

const NODE: &str = "0123456789abcdefghijklmno";
const SERVICE: &str = "abcdefghijklmno0123456789";
const TASK: &str = "zzzzzzzzzzzzzzzzzzzzzzzzz";

/// The time at which every object of the tests was written, as the API shows it.
const AT: &str = "2026-01-02T03:04:05.678901234Z";

fn at() -> Timestamp {
    Timestamp::parse(AT).unwrap()
}

/// The spec of `docker service create --name web -p 80 nginx`, as it is stored.
fn spec(ports: bool) -> ServiceSpec {
    let endpoint = match ports {
        true => json!({"Mode": "vip", "Ports": [
            {"Protocol": "tcp", "TargetPort": 80, "PublishMode": "ingress"}
        ]}),
        false => json!({"Mode": "vip"}),
    };
    let spec = json!({
        "Name": "web",
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "nginx:latest", "Init": false, "DNSConfig": {}, "Isolation": "default"
            },
            "Resources": {"Limits": {}, "Reservations": {}},
            "Placement": {"Platforms": [{"Architecture": "amd64", "OS": "linux"}]},
            "Runtime": "container"
        },
        "Mode": {"Replicated": {"Replicas": 1}},
        "EndpointSpec": endpoint
    });
    serde_json::from_value(spec).unwrap()
}

fn port(published: u32) -> PortConfig {
    PortConfig {
        protocol: Some(Protocol::Tcp),
        target_port: 80,
        published_port: published,
        publish_mode: Some(PublishMode::Ingress),
        ..PortConfig::default()
    }
}

fn service_object(endpoint: Endpoint) -> object::Service {
    object::Service {
        id: SERVICE.parse().unwrap(),
        meta: Meta::default(),
        name: "web".to_owned(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint,
        update_status: None,
        update: None,
        job: None,
        unknown: Default::default(),
    }
}

fn task_object() -> object::Task {
    object::Task {
        id: TASK.parse().unwrap(),
        meta: Meta::default(),
        service: SERVICE.parse().unwrap(),
        spec: 1,
        slot: 1,
        node: Some(NODE.parse().unwrap()),
        desired: TaskState::Running,
        status: TaskStatus {
            at: at(),
            state: TaskState::Running,
            message: "started".to_owned(),
            err: String::new(),
            container: Some(ContainerStatus {
                id: "c0ffee".to_owned(),
                pid: 1234,
                exit_code: 0,
            }),
            ports: Vec::new(),
        },
        created: ClusterTime(1),
        origin: TaskOrigin::Scale,
        gate: None,
        iteration: None,
        resources: Vec::new(),
        networks: Vec::new(),
        running_since: None,
        ended: None,
        history: Default::default(),
        unknown: Default::default(),
    }
}

fn node_object() -> object::Node {
    let description = json!({
        "Hostname": "h1",
        "Platform": {"Architecture": "x86_64", "OS": "linux"},
        "Resources": {"NanoCPUs": 4_000_000_000_i64, "MemoryBytes": 8_000_000_000_i64},
        "Engine": {"EngineVersion": "29.0", "Plugins": [
            {"Type": "Log", "Name": "json-file"}, {"Type": "Network", "Name": "overlay"}
        ]}
    });
    let description: NodeDescription = serde_json::from_value(description).unwrap();
    let spec =
        serde_json::from_value(json!({"Role": "manager", "Availability": "active"})).unwrap();
    let mut node = object::Node::new(NODE.parse().unwrap(), spec);
    node.description = NodeDescription {
        tls_info: TlsInfo {
            trust_root: "PEM".to_owned(),
            cert_issuer_subject: "U1VC".to_owned(),
            cert_issuer_public_key: "S0VZ".to_owned(),
        },
        ..description
    };
    node.status.state = NodeState::Ready;
    node.status.addr = "192.0.2.10".to_owned();
    node.manager_addr = Some("192.0.2.10:2377".to_owned());
    node.index = 1;
    node
}

fn cluster_object() -> Cluster {
    let mut spec = json!({"Name": "default", "Orchestration": {"TaskHistoryRetentionLimit": 5}});
    spec["CAConfig"] = json!({
        "NodeCertExpiry": 5, "SigningCACert": "SECRET CERT", "SigningCAKey": "SECRET KEY"
    });
    Cluster {
        id: "ccccccccccccccccccccccccc".parse().unwrap(),
        meta: Meta::default(),
        spec: serde_json::from_value::<SwarmSpec>(spec).unwrap(),
        root_ca: RootCa {
            certificate: "ROOT PEM".to_owned(),
            key: "SECRET KEY".into(),
            ..RootCa::default()
        },
        root_rotation: None,
        join_tokens: JoinTokens {
            worker: "SWMTKN-1-w".to_owned(),
            manager: "SWMTKN-1-m".to_owned(),
        },
        unlock_key: Some("UNLOCK KEY".into()),
        default_addr_pool: Vec::new(),
        subnet_size: 0,
        data_path_port: 0,
        level: 0,
        unknown: Default::default(),
    }
}

/// A state that holds these objects, written by entry 1.
fn state(objects: Vec<Object>) -> State {
    let put = |object| Change::Put {
        object,
        expect: Expect::Absent,
    };
    let command = Command {
        time: ClusterTime(1),
        wall: at(),
        guards: Vec::new(),
        changes: objects.into_iter().map(put).collect(),
    };
    let mut state = State::default();
    state.apply(14, &command).unwrap();
    state
}

fn spec_object(number: u64, spec: ServiceSpec) -> Object {
    Object::Spec(Arc::new(SpecVersion {
        service: SERVICE.parse().unwrap(),
        number,
        spec,
        registry_auth: None,
        unknown: Default::default(),
    }))
}

/// As the client reads it, with the head that is the same for all taken off.
fn shown<T: Serialize>(value: &T, id: &str) -> String {
    let text = String::from_utf8(swarmrs_types::json::to_vec(value)).unwrap();
    let head = format!(
        "{{\"ID\":\"{id}\",\"Version\":{{\"Index\":14}},\"CreatedAt\":\"{AT}\",\"UpdatedAt\":\"{AT}\","
    );
    let rest = text.strip_prefix(&head).unwrap_or_else(|| panic!("{text}"));
    rest.trim_end().to_owned()
}

const SPEC: &str = r#"{"Name":"web","Labels":{},"TaskTemplate":{"ContainerSpec":{"Image":"nginx:latest","Init":false,"DNSConfig":{},"Isolation":"default"},"Resources":{"Limits":{},"Reservations":{}},"Placement":{"Platforms":[{"Architecture":"amd64","OS":"linux"}]},"ForceUpdate":0,"Runtime":"container"},"Mode":{"Replicated":{"Replicas":1}},"EndpointSpec":{"Mode":"vip"}}"#;

fn show_service(state: &State, options: ServiceOptions) -> String {
    let id = SERVICE.parse().unwrap();
    let found = state.services().get(&id).unwrap();
    shown(&service(state, found, options).unwrap(), SERVICE)
}

fn plain_service() -> State {
    let object = service_object(Endpoint::default());
    state(vec![
        Object::Service(Arc::new(object)),
        spec_object(1, spec(false)),
    ])
}

#[test]
fn a_service_without_ports_has_an_empty_endpoint() {
    let shown = show_service(&plain_service(), ServiceOptions::default());
    assert_eq!(
        shown,
        format!("\"Spec\":{SPEC},\"Endpoint\":{{\"Spec\":{{}}}}}}")
    );
}

#[test]
fn a_service_with_ports_shows_what_was_asked_and_what_was_given() {
    let object = service_object(Endpoint {
        ports: vec![port(30000)],
        virtual_ips: vec![VirtualIp {
            network: "nnnnnnnnnnnnnnnnnnnnnnnnn".parse().unwrap(),
            addr: "10.0.0.5/24".to_owned(),
        }],
    });
    let state = state(vec![
        Object::Service(Arc::new(object)),
        spec_object(1, spec(true)),
    ]);
    let shown = show_service(&state, ServiceOptions::default());
    let endpoint = r#""Endpoint":{"Spec":{"Mode":"vip","Ports":[{"Protocol":"tcp","TargetPort":80,"PublishMode":"ingress"}]},"Ports":[{"Protocol":"tcp","TargetPort":80,"PublishedPort":30000,"PublishMode":"ingress"}],"VirtualIPs":[{"NetworkID":"nnnnnnnnnnnnnnnnnnnnnnnnn","Addr":"10.0.0.5/24"}]}}"#;
    assert!(shown.ends_with(endpoint), "{shown}");
}

#[test]
fn defaults_are_inserted_on_request() {
    let options = ServiceOptions {
        defaults: true,
        ..ServiceOptions::default()
    };
    let shown = show_service(&plain_service(), options);
    let update = r#"{"Parallelism":1,"FailureAction":"pause","Monitor":5000000000,"MaxFailureRatio":0,"Order":"stop-first"}"#;
    let expected = SPEC
        .replace("\"DNSConfig\"", "\"StopGracePeriod\":10000000000,\"DNSConfig\"")
        .replace(
            "\"Placement\"",
            "\"RestartPolicy\":{\"Condition\":\"any\",\"Delay\":5000000000,\"MaxAttempts\":0},\"Placement\"",
        )
        .replace(
            "\"EndpointSpec\"",
            &format!("\"UpdateConfig\":{update},\"RollbackConfig\":{update},\"EndpointSpec\""),
        );
    assert_eq!(
        shown,
        format!("\"Spec\":{expected},\"Endpoint\":{{\"Spec\":{{}}}}}}")
    );
}

#[test]
fn an_updated_service_shows_what_it_was_and_how_the_update_goes() {
    let object = object::Service {
        spec: 2,
        previous_spec: Some(1),
        last_spec: 2,
        update_status: Some(UpdateStatus {
            state: UpdateState::RollbackStarted,
            started_at: Some(at()),
            completed_at: None,
            message: "manually requested rollback".to_owned(),
        }),
        ..service_object(Endpoint::default())
    };
    let state = state(vec![
        Object::Service(Arc::new(object)),
        spec_object(1, spec(false)),
        spec_object(2, spec(false)),
    ]);
    let options = ServiceOptions {
        status: true,
        ..ServiceOptions::default()
    };
    let expected = format!(
        "\"Spec\":{SPEC},\"PreviousSpec\":{SPEC},\"Endpoint\":{{\"Spec\":{{}}}},\"UpdateStatus\":{{\"State\":\
         \"rollback_started\",\"StartedAt\":\"{AT}\",\"Message\":\"manually requested rollback\"}},\"ServiceStatus\":\
         {{\"RunningTasks\":0,\"DesiredTasks\":1,\"CompletedTasks\":0}}}}"
    );
    assert_eq!(show_service(&state, options), expected);
}

#[test]
fn a_task_shows_its_services_spec_without_the_runtime() {
    let state = state(vec![
        Object::Service(Arc::new(service_object(Endpoint::default()))),
        spec_object(1, spec(false)),
        Object::Task(Arc::new(task_object())),
    ]);
    let found = state.tasks().get(&TASK.parse().unwrap()).unwrap();
    let expected = format!(
        "\"Labels\":{{}},\"Spec\":{{\"ContainerSpec\":{{\"Image\":\"nginx:latest\",\"Init\":false,\"DNSConfig\":{{}},\
         \"Isolation\":\"default\"}},\"Resources\":{{\"Limits\":{{}},\"Reservations\":{{}}}},\"Placement\":{{\"Platforms\":\
         [{{\"Architecture\":\"amd64\",\"OS\":\"linux\"}}]}},\"ForceUpdate\":0}},\"ServiceID\":\"{SERVICE}\",\"Slot\":1,\
         \"NodeID\":\"{NODE}\",\"Status\":{{\"Timestamp\":\"{AT}\",\"State\":\"running\",\"Message\":\"started\",\
         \"ContainerStatus\":{{\"ContainerID\":\"c0ffee\",\"PID\":1234,\"ExitCode\":0}},\"PortStatus\":{{}}}},\
         \"DesiredState\":\"running\",\"Volumes\":null}}"
    );
    assert_eq!(shown(&task(&state, found, &found.status), TASK), expected);
}

#[test]
fn a_task_shows_the_newest_status_and_the_ports_of_its_node() {
    let state = state(vec![
        Object::Service(Arc::new(service_object(Endpoint::default()))),
        spec_object(1, spec(false)),
        Object::Task(Arc::new(object::Task {
            slot: 0,
            node: None,
            ..task_object()
        })),
    ]);
    let found = state.tasks().get(&TASK.parse().unwrap()).unwrap();
    let now = TaskStatus {
        at: at(),
        state: TaskState::Failed,
        message: "started".to_owned(),
        err: "task: non-zero exit (1)".to_owned(),
        container: None,
        ports: vec![PortConfig {
            publish_mode: Some(PublishMode::Host),
            ..port(8080)
        }],
    };
    let shown = shown(&task(&state, found, &now), TASK);
    let expected = format!(
        "\"ServiceID\":\"{SERVICE}\",\"Status\":{{\"Timestamp\":\"{AT}\",\"State\":\"failed\",\"Message\":\"started\",\
         \"Err\":\"task: non-zero exit (1)\",\"PortStatus\":{{\"Ports\":[{{\"Protocol\":\"tcp\",\"TargetPort\":80,\
         \"PublishedPort\":8080,\"PublishMode\":\"host\"}}]}}}},\"DesiredState\":\"running\",\"Volumes\":null}}"
    );
    assert!(shown.ends_with(&expected), "{shown}");
}

#[test]
fn a_leading_manager_and_a_worker() {
    let state = state(vec![Object::Node(Arc::new(node_object()))]);
    let found = state.nodes().get(&NODE.parse().unwrap()).unwrap();
    let rank = Rank {
        leader: true,
        reachable: true,
    };
    let worker = concat!(
        r#""Spec":{"Labels":{},"Role":"manager","Availability":"active"},"Description":{"Hostname":"h1","#,
        r#""Platform":{"Architecture":"x86_64","OS":"linux"},"Resources":{"NanoCPUs":4000000000,"MemoryBytes":8000000000},"#,
        r#""Engine":{"EngineVersion":"29.0","Plugins":[{"Type":"Log","Name":"json-file"},{"Type":"Network","Name":"overlay"}]},"#,
        r#""TLSInfo":{"TrustRoot":"PEM","CertIssuerSubject":"U1VC","CertIssuerPublicKey":"S0VZ"}},"#,
        r#""Status":{"State":"ready","Addr":"192.0.2.10"}"#
    );
    let manager =
        r#","ManagerStatus":{"Leader":true,"Reachability":"reachable","Addr":"192.0.2.10:2377"}}"#;
    assert_eq!(
        shown(&node(found, rank), NODE),
        format!("{worker}{manager}")
    );
    let object = object::Node {
        manager_addr: None,
        ..(**found).clone()
    };
    assert_eq!(shown(&node(&object, rank), NODE), format!("{worker}}}"));
}

#[test]
fn while_another_authority_takes_the_roots_place_it_is_the_issuer_and_its_key_is_not_shown() {
    let mut cluster = cluster_object();
    let text = |text: &str| text.to_owned();
    cluster.root_rotation = Some(RootRotation {
        certificate: text("NEXT PEM"),
        key: "SECRET KEY".into(),
        cross_signed: text("CROSS PEM"),
        issuer: CertIssuer {
            subject: text("TkVYVA"),
            public_key: text("TktFWQ"),
        },
    });
    let state = state(vec![
        Object::Cluster(Arc::new(cluster)),
        Object::Node(Arc::new(node_object())),
    ]);
    let shown = serde_json::to_value(swarm(&state, NODE.parse().unwrap()).unwrap()).unwrap();
    assert_eq!(shown["RootRotationInProgress"], json!(true));
    let expected = json!({
        "TrustRoot": "ROOT PEM", "CertIssuerSubject": "TkVYVA", "CertIssuerPublicKey": "TktFWQ",
    });
    assert_eq!(shown["TLSInfo"], expected);
    assert!(!shown.to_string().contains("SECRET"));
}

#[test]
fn the_swarm_shows_its_tokens_and_no_key() {
    let state = state(vec![
        Object::Cluster(Arc::new(cluster_object())),
        Object::Node(Arc::new(node_object())),
    ]);
    let local: NodeId = NODE.parse().unwrap();
    let id = "ccccccccccccccccccccccccc";
    let info = concat!(
        r#""Spec":{"Name":"default","Labels":{},"Orchestration":{"TaskHistoryRetentionLimit":5},"#,
        r#""Raft":{"ElectionTick":0,"HeartbeatTick":0},"Dispatcher":{},"CAConfig":{"NodeCertExpiry":5},"#,
        r#""TaskDefaults":{},"EncryptionConfig":{"AutoLockManagers":false}},"#,
        r#""TLSInfo":{"TrustRoot":"ROOT PEM","CertIssuerSubject":"U1VC","CertIssuerPublicKey":"S0VZ"},"#,
        r#""RootRotationInProgress":false,"DefaultAddrPool":["10.0.0.0/8"],"SubnetSize":24,"DataPathPort":4789"#
    );
    let tokens = r#","JoinTokens":{"Worker":"SWMTKN-1-w","Manager":"SWMTKN-1-m"}}"#;
    let whole = shown(&swarm(&state, local).unwrap(), id);
    assert_eq!(whole, format!("{info}{tokens}"));
    let known_to_all = shown(&cluster_info(&state, local).unwrap(), id);
    assert_eq!(known_to_all, format!("{info}}}"));
}

const NETWORK: &str = "nnnnnnnnnnnnnnnnnnnnnnnnn";

fn network_object(spec: serde_json::Value, subnets: &[(&str, &str, u32)]) -> object::Network {
    let allocated = |(subnet, gateway, vni): &(&str, &str, u32)| Allocated {
        segment: Segment {
            subnet: subnet.parse().unwrap(),
            gateway: gateway.parse().unwrap(),
            vni: *vni,
        },
        range: None,
    };
    object::Network {
        id: NETWORK.parse().unwrap(),
        meta: Meta {
            created_at: at(),
            ..Meta::default()
        },
        spec: serde_json::from_value(spec).unwrap(),
        segments: subnets.iter().map(allocated).collect(),
        unknown: Default::default(),
    }
}

#[test]
fn the_hosts_network_has_no_addresses() {
    let labels = json!({"com.docker.swarm.predefined": "true"});
    let spec = json!({"Name": "host", "Driver": "host", "Labels": labels});
    let object = network_object(spec, &[]);
    let expected = format!(
        "{{\"Name\":\"host\",\"Id\":\"{NETWORK}\",\"Created\":\"{AT}\",\"Scope\":\"swarm\",\"Driver\":\
         \"host\",\"EnableIPv4\":true,\"EnableIPv6\":false,\"IPAM\":{{\"Driver\":\"\",\"Options\":null,\"Config\":[]}},\
         \"Internal\":false,\"Attachable\":false,\"Ingress\":false,\"ConfigFrom\":{{\"Network\":\"\"}},\"ConfigOnly\":\
         false,\"Containers\":{{}},\"Options\":null,\"Labels\":{{\"com.docker.swarm.predefined\":\"true\"}}}}"
    );
    let found = network(&object).with_containers(json!({}));
    assert_eq!(serde_json::to_string(&found).unwrap(), expected);
}

#[test]
fn an_overlay_shows_what_was_allocated() {
    let spec = json!({
        "Name": "web", "Driver": "overlay", "Attachable": true, "Options": {"encrypted": ""},
    });
    let subnets = [
        ("10.0.1.0/24", "10.0.1.1", 4097),
        ("10.0.2.0/24", "10.0.2.1", 4098),
    ];
    let object = network_object(spec, &subnets);
    let expected = format!(
        "{{\"Name\":\"web\",\"Id\":\"{NETWORK}\",\"Created\":\"{AT}\",\"Scope\":\"swarm\",\"Driver\":\"overlay\",\
         \"EnableIPv4\":true,\"EnableIPv6\":false,\"IPAM\":{{\"Driver\":\"default\",\"Options\":null,\"Config\":[\
         {{\"Subnet\":\"10.0.1.0/24\",\"Gateway\":\"10.0.1.1\"}},{{\"Subnet\":\"10.0.2.0/24\",\"Gateway\":\"10.0.2.1\"}}]}},\
         \"Internal\":false,\"Attachable\":true,\"Ingress\":false,\"ConfigFrom\":{{\"Network\":\"\"}},\"ConfigOnly\":false,\
         \"Options\":{{\"com.docker.network.driver.overlay.vxlanid_list\":\"4097,4098\",\"encrypted\":\"\"}},\
         \"Labels\":null}}"
    );
    assert_eq!(serde_json::to_string(&network(&object)).unwrap(), expected);
}

#[test]
fn a_task_shows_its_networks_and_its_addresses_there() {
    let spec_of_network = json!({"Name": "ingress", "Driver": "overlay", "Ingress": true});
    let ingress = network_object(spec_of_network, &[("10.0.0.0/24", "10.0.0.1", 4096)]);
    let mut object = task_object();
    object.networks = vec![Attached {
        network: NETWORK.parse().unwrap(),
        addresses: vec!["10.0.0.6/24".parse().unwrap()],
        aliases: Vec::new(),
    }];
    let state = state(vec![
        Object::Network(Arc::new(ingress)),
        spec_object(1, spec(false)),
    ]);
    let shown = serde_json::to_value(task(&state, &object, &object.status)).unwrap();
    let expected = json!([{
        "Network": {
            "ID": NETWORK, "Version": {"Index": 14}, "CreatedAt": AT, "UpdatedAt": AT,
            "Spec": {
                "Name": "ingress", "Labels": {}, "DriverConfiguration": {}, "Ingress": true,
                "IPAMOptions": {"Driver": {}}, "Scope": "swarm",
            },
            "DriverState": {
                "Name": "overlay", "Options": {"com.docker.network.driver.overlay.vxlanid_list": "4096"},
            },
            "IPAMOptions": {
                "Driver": {"Name": "default"}, "Configs": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1"}],
            },
        },
        "Addresses": ["10.0.0.6/24"],
    }]);
    assert_eq!(shown["NetworksAttachments"], expected);
}

#[test]
fn a_job_shows_its_run_and_the_first_one_is_empty() {
    let job = |status| object::Service {
        job: Some(status),
        ..service_object(Endpoint::default())
    };
    let first = object::JobStatus::first(at());
    let run = |status| {
        let state = state(vec![
            Object::Service(Arc::new(job(status))),
            spec_object(1, spec(false)),
        ]);
        show_service(&state, ServiceOptions::default())
    };
    let at = at();
    let shown = serde_json::to_string(&at).unwrap();
    let expected = format!(",\"JobStatus\":{{\"JobIteration\":{{}},\"LastExecution\":{shown}}}}}");
    assert!(run(first).ends_with(&expected), "{}", run(first));
    let second = run(first.next(at));
    assert!(
        second.contains("\"JobIteration\":{\"Index\":1}"),
        "{second}"
    );
}

#[test]
fn a_task_of_a_job_shows_its_run_its_slot_from_zero_and_what_it_was_given() {
    let given = json!([{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]);
    let mut object = task_object();
    object.slot = 2;
    object.iteration = Some(0);
    object.resources = serde_json::from_value(given.clone()).unwrap();
    let state = state(vec![spec_object(1, spec(false))]);
    let shown = serde_json::to_value(task(&state, &object, &object.status)).unwrap();
    assert_eq!(shown["JobIteration"], json!({}));
    assert_eq!(shown["Slot"], json!(1));
    assert_eq!(shown["GenericResources"], given);
    object.slot = 1;
    let first = serde_json::to_value(task(&state, &object, &object.status)).unwrap();
    assert_eq!(first.get("Slot"), None);
}
