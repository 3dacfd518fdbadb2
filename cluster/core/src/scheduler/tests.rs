//! Explanations, accounts and ranks.

use super::*;
use crate::orchestrator::tests::{
    at, ended, id, node, put_node, put_service, put_spec, put_task, state, task, version, web,
};
use crate::plan::Plan;
use swarmrs_types::object::{Node, SpecVersion};
use swarmrs_types::spec::{
    Driver, EndpointSpec, PluginDescription, PortConfig, Protocol, PublishMode,
    ResourceRequirements, Resources, ServiceSpec,
};

fn demanding(cpus: i64, port: Option<(Protocol, u32)>) -> SpecVersion {
    let mut spec = ServiceSpec::default();
    spec.task_template.resources = Some(ResourceRequirements {
        reservations: Some(Resources {
            nano_cpus: cpus,
            ..Resources::default()
        }),
        ..ResourceRequirements::default()
    });
    spec.endpoint_spec = port.map(|(protocol, number)| EndpointSpec {
        ports: vec![PortConfig {
            protocol: Some(protocol),
            published_port: number,
            publish_mode: Some(PublishMode::Host),
            ..PortConfig::default()
        }],
        ..EndpointSpec::default()
    });
    version(1, spec)
}

fn with_cpus(cpus: i64) -> Node {
    let mut node = node("n1");
    node.description.resources.nano_cpus = cpus;
    node
}

fn pending(name: &str) -> Task {
    let mut task = task(name, 1);
    (task.node, task.running_since) = (None, None);
    task.status.state = TaskState::Pending;
    task
}

fn refusal(spec: SpecVersion, node: &Node, tasks: &[Task]) -> Option<Reason> {
    let tasks = tasks.iter().map(put_task);
    let state = state(tasks.chain([put_spec(spec.clone())]).collect());
    let demand = Demand::new(&state, &Arc::new(spec));
    filter::first_refusal(&Ledger::new(&state), &demand, node)
}

#[test]
fn reasons_are_told_with_those_of_most_nodes_first() {
    let mut refusals = Refusals::default();
    assert_eq!(refusals.no_suitable_node(), "no suitable node");
    refusals.add(Reason::NotReady);
    refusals.add(Reason::Platform);
    refusals.add(Reason::Platform);
    refusals.add(Reason::MaxReplicas);
    assert_eq!(
        refusals.no_suitable_node(),
        "no suitable node (unsupported platform on 2 nodes; 1 node not available for new tasks; \
         max replicas per node limit exceed)"
    );
}

#[test]
fn a_reservation_is_taken_until_the_task_has_ended() {
    let mut leaving = task("t", 1);
    leaving.desired = TaskState::Shutdown;
    let spec = || demanding(2, None);
    assert_eq!(
        refusal(spec(), &with_cpus(3), &[leaving.clone()]),
        Some(Reason::Resources)
    );
    assert_eq!(refusal(spec(), &with_cpus(4), &[leaving.clone()]), None);
    let gone = ended(leaving, TaskState::Shutdown, at(1));
    assert_eq!(refusal(spec(), &with_cpus(2), &[gone]), None);
}

#[test]
fn a_port_is_taken_per_protocol() {
    let taken = [task("t", 1)];
    let tcp = demanding(0, Some((Protocol::Tcp, 53)));
    let udp = demanding(0, Some((Protocol::Udp, 53)));
    assert_eq!(
        refusal(tcp.clone(), &node("n1"), &taken),
        Some(Reason::HostPort)
    );
    let state = state(vec![put_spec(tcp), put_task(&taken[0])]);
    let udp = Demand::new(&state, &Arc::new(udp));
    assert_eq!(
        filter::first_refusal(&Ledger::new(&state), &udp, &node("n1")),
        None
    );
}

#[test]
fn a_log_driver_may_be_a_plugin_with_the_tag_latest() {
    let mut spec = ServiceSpec::default();
    spec.task_template.log_driver = Some(Driver {
        name: "loki".to_owned(),
        ..Driver::default()
    });
    let mut node = node("n1");
    let log = |name: &str| PluginDescription {
        kind: "Log".to_owned(),
        name: name.to_owned(),
    };
    node.description.engine.plugins = vec![log("json-file")];
    assert_eq!(
        refusal(version(1, spec.clone()), &node, &[]),
        Some(Reason::Plugin)
    );
    node.description.engine.plugins.push(log("loki:latest"));
    assert_eq!(refusal(version(1, spec), &node, &[]), None);
}

#[test]
fn five_failures_make_a_node_the_last_choice() {
    let ledger = Ledger::default();
    let rank = |failures| ledger.rank(id("n1"), id("web"), failures);
    assert_eq!(rank(4), rank(0));
    assert!(rank(5) > rank(0) && rank(6) > rank(5));
}

#[test]
fn failures_are_known_for_five_minutes_whatever_becomes_of_the_task() {
    let mut failures = Failures::default();
    let failed = |name, time| ended(task(name, 1), TaskState::Failed, at(time));
    failures.note(&failed("a", 0));
    failures.note(&failed("b", 100));
    failures.note(&ended(task("c", 1), TaskState::Complete, at(100)));
    failures.note(&ended(task("d", 0), TaskState::Failed, at(100)));
    let count = |failures: &Failures, spec, time| {
        let found = failures.recent(id("web"), spec, at(time));
        found.get(&id("n1")).copied().unwrap_or(0)
    };
    assert_eq!(count(&failures, 1, 299), 2);
    assert_eq!(count(&failures, 1, 300), 1);
    assert_eq!(count(&failures, 2, 200), 0);
    failures.forget(id("web"));
    assert_eq!(count(&failures, 1, 200), 0);
}

fn place_one(objects: Vec<crate::Object>) -> Plan {
    let state = state(objects);
    let mut draft = Draft::new(&state, at(9));
    place(&mut draft, &mut Agenda::all(&state), &[]);
    draft.finish()
}

fn placed(plan: &Plan) -> Option<Arc<Task>> {
    plan.changes.iter().find_map(|change| match change {
        crate::Change::Put {
            object: crate::Object::Task(task),
            ..
        } => Some(task.clone()),
        _ => None,
    })
}

#[test]
fn a_placement_holds_only_if_the_node_stays_as_it_was_seen() {
    let plan = place_one(vec![
        put_service(web()),
        put_spec(version(1, ServiceSpec::default())),
        put_node(node("n1")),
        put_task(&pending("t")),
    ]);
    let guard = crate::Guard {
        key: Key::Node(id("n1")),
        version: 1,
    };
    assert_eq!(plan.guards, [guard]);
    assert_eq!(placed(&plan).unwrap().node, Some(id("n1")));
}

#[test]
fn the_node_with_fewer_tasks_of_the_service_is_taken() {
    let plan = place_one(vec![
        put_service(web()),
        put_spec(version(1, ServiceSpec::default())),
        put_node(node("n1")),
        put_node(node("n2")),
        put_task(&task("there", 1)),
        put_task(&pending("t")),
    ]);
    assert_eq!(placed(&plan).unwrap().node, Some(id("n2")));
}

#[test]
fn tasks_of_the_service_count_before_those_of_others() {
    let others = ["a", "b"].map(|name| {
        let mut other = task(name, 1);
        other.service = id("db");
        other.node = Some(id("n2"));
        other
    });
    let mut db = version(1, ServiceSpec::default());
    db.service = id("db");
    let plan = place_one(vec![
        put_service(web()),
        put_spec(version(1, ServiceSpec::default())),
        put_spec(db),
        put_node(node("n1")),
        put_node(node("n2")),
        put_task(&task("there", 1)),
        put_task(&others[0]),
        put_task(&others[1]),
        put_task(&pending("t")),
    ]);
    assert_eq!(placed(&plan).unwrap().node, Some(id("n2")));
}

#[test]
fn a_task_that_waits_says_why_once() {
    let mut waiting = pending("t");
    waiting.status.err = "no suitable node".to_owned();
    let spec = || put_spec(version(1, ServiceSpec::default()));
    let plan = place_one(vec![put_service(web()), spec(), put_task(&waiting)]);
    assert!(plan.is_empty());
    let plan = place_one(vec![put_service(web()), spec(), put_task(&pending("t"))]);
    assert_eq!(placed(&plan).unwrap().status.err, "no suitable node");
}
