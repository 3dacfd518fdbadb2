//! What a node is told of networks; the scenarios and the properties play what changes in time.

use super::*;
use crate::change::{Key, Object};
use crate::orchestrator::tests::{
    id, node, put_node, put_service, put_spec, state, task, version, web,
};
use swarmrs_types::endpoint::Segment;
use swarmrs_types::object::{Allocated, VirtualIp};
use swarmrs_types::spec::{
    EndpointSpec, NetworkAttachmentConfig, NetworkSpec, PortConfig, ServiceSpec, TaskSpec,
};

fn network(number: u8, name: &str, change: impl FnOnce(&mut NetworkSpec)) -> Object {
    let mut spec = NetworkSpec {
        name: name.to_owned(),
        driver: "overlay".to_owned(),
        ..NetworkSpec::default()
    };
    change(&mut spec);
    let network = Network {
        id: id(name),
        meta: Default::default(),
        segments: vec![segment(number)],
        spec,
        unknown: Default::default(),
    };
    Object::Network(Arc::new(network))
}

fn segment(number: u8) -> Allocated {
    Allocated {
        segment: Segment {
            subnet: format!("10.0.{number}.0/24").parse().unwrap(),
            gateway: format!("10.0.{number}.1").parse().unwrap(),
            vni: 4096 + u32::from(number),
        },
        range: None,
    }
}

fn on(number: u8, name: &str, host: u8) -> Attached {
    Attached {
        network: id(name),
        addresses: vec![format!("10.0.{number}.{host}/24").parse().unwrap()],
        aliases: Vec::new(),
    }
}

/// `web` publishes 8080 and is on `app` and on `back`, which is internal; its task runs on n1.
fn swarm(change: impl FnOnce(&mut Task)) -> State {
    let port = PortConfig {
        target_port: 80,
        published_port: 8080,
        publish_mode: Some(PublishMode::Ingress),
        ..PortConfig::default()
    };
    let config = |name: &str, aliases: &[&str]| NetworkAttachmentConfig {
        target: id::<NetworkId>(name).to_string(),
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..NetworkAttachmentConfig::default()
    };
    let spec = ServiceSpec {
        name: "web".to_owned(),
        endpoint_spec: Some(EndpointSpec {
            ports: vec![port.clone()],
            ..EndpointSpec::default()
        }),
        task_template: TaskSpec {
            networks: vec![config("back", &[]), config("app", &["www"])],
            ..TaskSpec::default()
        },
        ..ServiceSpec::default()
    };
    let mut service = web();
    service.endpoint.ports = vec![port];
    service.endpoint.virtual_ips = vec![VirtualIp {
        network: id("app"),
        addr: "10.0.1.254/24".to_owned(),
    }];
    let mut one = task("t", 1);
    one.networks = vec![on(0, "ingress", 4), on(2, "back", 4), on(1, "app", 4)];
    change(&mut one);
    let mut host = node("n1");
    host.status.addr = "192.0.2.1".to_owned();
    let mut other = node("n2");
    (other.index, other.data_path) = (2, "192.0.2.22".parse().ok());
    state(vec![
        put_node(host),
        put_node(other),
        put_service(service),
        put_spec(version(1, spec)),
        Object::Task(Arc::new(one)),
        network(0, "ingress", |spec| spec.ingress = true),
        network(1, "app", |spec| {
            spec.options = [(
                "com.docker.network.driver.mtu".to_owned(),
                "1400".to_owned(),
            )]
            .into();
        }),
        network(2, "back", |spec| {
            spec.internal = true;
            spec.options = [("encrypted".to_owned(), String::new())].into();
        }),
    ])
}

fn told(state: &State, to: &str) -> Vec<Fact> {
    let diff = complete(state, id(to));
    assert_eq!(diff.remove, []);
    diff.put
}

fn endpoints(facts: &[Fact]) -> Vec<(String, bool, bool)> {
    let endpoints = facts.iter().filter_map(|fact| match fact {
        Fact::Endpoint(endpoint) => {
            let network = endpoint
                .network
                .to_string()
                .trim_start_matches('0')
                .to_owned();
            Some((network, endpoint.ready, endpoint.gateway))
        }
        _ => None,
    });
    endpoints.collect()
}

#[test]
fn a_node_is_told_of_the_networks_its_tasks_are_on() {
    let facts = told(&swarm(|_| {}), "n1");
    let networks = facts.iter().filter_map(|fact| match fact {
        Fact::Network(network) => Some((
            network.name.as_str(),
            network.mtu,
            network.internal,
            network.encrypted,
        )),
        _ => None,
    });
    let expected = [
        ("app", 1400, false, false),
        ("back", 0, true, true),
        ("ingress", 0, false, false),
    ];
    assert_eq!(networks.collect::<Vec<_>>(), expected);
    let peers = facts.iter().filter_map(|fact| match fact {
        Fact::Peer(peer) => Some((peer.index, peer.data_path.to_string())),
        _ => None,
    });
    let expected = [(1, "192.0.2.1".to_owned()), (2, "192.0.2.22".to_owned())];
    assert_eq!(peers.collect::<Vec<_>>(), expected);
}

#[test]
fn another_node_is_told_of_the_ingress_network_alone() {
    let facts = told(&swarm(|_| {}), "n2");
    let keys: Vec<FactKey> = facts.iter().map(Fact::key).collect();
    let ingress = id("ingress");
    let expected = [
        FactKey::Network(ingress),
        FactKey::Peer(id("n1")),
        FactKey::Peer(id("n2")),
        FactKey::Endpoint(ingress, id("t")),
        FactKey::Service(ingress, id("web")),
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_service_has_its_ports_on_the_ingress_network_and_its_aliases_elsewhere() {
    let facts = told(&swarm(|_| {}), "n1");
    let services: Vec<_> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Service(service) => Some((
                service.ports.len(),
                service.aliases.join(" "),
                service.vip.map(|vip| vip.to_string()),
            )),
            _ => None,
        })
        .collect();
    let vip = Some("10.0.1.254".to_owned());
    let expected = [
        (0, "www".to_owned(), vip),
        (0, String::new(), None),
        (1, String::new(), None),
    ];
    assert_eq!(services, expected);
}

#[test]
fn a_task_goes_out_where_published_ports_come_in_else_by_its_first_way_out() {
    let named = |name: &str, ready, gateway| (name.to_owned(), ready, gateway);
    let expected = [
        named("app", true, false),
        named("back", true, false),
        named("ingress", true, true),
    ];
    let in_order: fn(&mut Task) = |_| {};
    for order in [in_order, |task| task.networks.reverse()] {
        let facts = told(&swarm(order), "n1");
        assert_eq!(endpoints(&facts), expected);
    }
    let facts = told(&swarm(|task| drop(task.networks.remove(0))), "n1");
    assert_eq!(
        endpoints(&facts),
        [named("app", true, true), named("back", true, false)]
    );
}

#[test]
fn a_task_takes_connections_while_it_runs_and_is_to_run() {
    let ready = |observed: TaskState, desired: TaskState| {
        let facts = told(
            &swarm(|task| (task.status.state, task.desired) = (observed, desired)),
            "n1",
        );
        endpoints(&facts).first().map(|endpoint| endpoint.1)
    };
    assert_eq!(ready(TaskState::Running, TaskState::Running), Some(true));
    assert_eq!(
        ready(TaskState::Running, TaskState::Complete),
        Some(true),
        "a job's"
    );
    assert_eq!(ready(TaskState::Starting, TaskState::Running), Some(false));
    assert_eq!(ready(TaskState::Assigned, TaskState::Ready), Some(false));
    assert_eq!(ready(TaskState::Running, TaskState::Shutdown), Some(false));
    assert_eq!(ready(TaskState::Running, TaskState::Remove), Some(false));
    assert_eq!(ready(TaskState::Pending, TaskState::Running), None);
    assert_eq!(ready(TaskState::Failed, TaskState::Running), None);
}

/// What a node is told when this is written.
fn news(before: &State, node: &str, write: impl FnOnce(&mut crate::Draft)) -> FactDiff {
    let mut draft = crate::Draft::new(before, before.time());
    write(&mut draft);
    let plan = draft.finish();
    let command = plan.into_command(before.time(), before.time().shown());
    let mut after = before.clone();
    let events = after.apply(before.applied() + 1, &command).unwrap();
    difference(before, &after, id(node), &events)
}

#[test]
fn what_changes_nothing_for_a_node_tells_it_nothing() {
    let before = swarm(|_| {});
    let told = news(&before, "n1", |draft| {
        let mut other = (**before.nodes().get(&id("n2")).unwrap()).clone();
        other.description.hostname = "renamed".to_owned();
        draft.put_node(other);
    });
    assert!(told.is_empty());
}

#[test]
fn with_an_ingress_network_go_the_tasks_that_other_nodes_still_have_on_it() {
    let ingress = id("ingress");
    let told = news(&swarm(|_| {}), "n2", |draft| {
        draft.remove(Key::Service(id("web")));
        draft.remove(Key::Network(ingress));
    });
    let gone = [
        FactKey::Network(ingress),
        FactKey::Endpoint(ingress, id("t")),
        FactKey::Service(ingress, id("web")),
    ];
    assert_eq!((told.put, told.remove), (Vec::new(), gone.to_vec()));
}
