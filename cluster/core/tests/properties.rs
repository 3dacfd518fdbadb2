//! Whatever users, nodes, leaders and the log do, in any order and at any time: no state breaks a
//! rule, and when they stop the swarm comes to rest with what was asked for.

mod world;

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swarmrs_core::dispatcher::{assignment, status};
use swarmrs_types::assignment::StatusReport;
use swarmrs_types::object::{Node, NodeState, Service, Task, TaskStatus};
use swarmrs_types::spec::{Availability, Ipam, IpamConfig, Mode, NetworkSpec, ServiceSpec};
use swarmrs_types::{NodeId, TaskState};
use world::agent::Image;
use world::spec::{generic, plain, set};
use world::{World, id_of};

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const SERVICES: [&str; 5] = ["web", "db", "each", "job", "sweep"];
const MODES: [&str; 5] = ["", "", "global", "replicated-job", "global-job"];
/// Generic resources a node may have.
const KINDS: [&str; 3] = ["gpu:a,b", "gpu:2", "gpu:c"];
const NETWORKS: [&str; 3] = ["wide", "small", "ingress"];
const CONTAINERS: [&str; 3] = ["shell", "probe", "cron"];
const IMAGES: [&str; 5] = ["app:1", "app:2", "crash", "broken", "once"];

/// Something that happens to the swarm.
#[derive(Clone, Debug)]
enum Act {
    Create(usize, Vec<(&'static str, String)>),
    Update(usize, Vec<(&'static str, String)>),
    Rollback(usize),
    Remove(usize),
    NodeDown(usize),
    NodeUp(usize),
    Silent(usize),
    Reset(usize),
    Heard(usize),
    Leaves(usize),
    NodeGone(usize),
    NodeNew(usize),
    Availability(usize, usize),
    Label(usize, usize),
    Has(usize, usize),
    Network(usize),
    NetworkGone(usize),
    Attach(usize, usize, usize),
    Stop(usize),
    Detach(usize),
    Report(usize, usize),
    Leader,
    LosePlans(usize),
    Advance(u64),
}

fn setting() -> impl Strategy<Value = (&'static str, String)> {
    let choice = |key: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (key, value.to_owned()))
    };
    prop_oneof![
        4 => choice("replicas", &["0", "1", "3", "5"]),
        4 => choice("image", &IMAGES),
        1 => choice("port", &["80", "81"]),
        2 => choice("network", &["", "wide", "small", "small,wide"]),
        1 => choice("publish", &["0", "80", "8080"]),
        1 => choice("endpoint-mode", &["vip", "dnsrr"]),
        1 => choice("cpus", &["1", "3"]),
        1 => choice("max-per-node", &["1", "2"]),
        1 => choice("constraint", &["node.hostname==n1", "node.hostname!=n2"]),
        1 => choice("generic", &["gpu:0", "gpu:1", "gpu:2"]),
        1 => choice("spread", &["node.labels.zone", "engine.labels.rack,node.labels.zone"]),
        1 => choice("constraint", &["node.labels.zone==a"]),
        2 => choice("completions", &["0", "1", "4"]),
        1 => choice("concurrent", &["1", "2", "9"]),
        2 => choice("restart-condition", &["none", "on-failure", "any"]),
        1 => choice("label", &["swarmrs.disconnect=hold", "swarmrs.disconnect=replace"]),
        1 => choice("restart-delay", &["0s", "2s", "20s"]),
        1 => choice("restart-attempts", &["0", "1", "3"]),
        2 => choice("update-order", &["start-first", "stop-first"]),
        1 => choice("update-parallelism", &["0", "1", "2"]),
        1 => choice("update-delay", &["0s", "3s"]),
        2 => choice("update-action", &["pause", "continue", "rollback"]),
        1 => choice("rollback-action", &["pause", "continue"]),
        1 => choice("rollback-order", &["start-first", "stop-first"]),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let settings = || prop::collection::vec(setting(), 0..4);
    prop_oneof![
        3 => (0..5usize, settings()).prop_map(|(name, with)| Act::Create(name, with)),
        5 => (0..5usize, settings()).prop_map(|(name, with)| Act::Update(name, with)),
        1 => (0..5usize).prop_map(Act::Rollback),
        1 => (0..5usize).prop_map(Act::Remove),
        1 => (0..3usize).prop_map(Act::NodeDown),
        2 => (0..3usize).prop_map(Act::NodeUp),
        2 => (0..3usize).prop_map(Act::Silent),
        1 => (0..3usize).prop_map(Act::Reset),
        3 => (0..3usize).prop_map(Act::Heard),
        1 => (0..3usize).prop_map(Act::Leaves),
        1 => (0..3usize).prop_map(Act::NodeGone),
        1 => (0..3usize).prop_map(Act::NodeNew),
        2 => (0..3usize, 0..3usize).prop_map(|(node, to)| Act::Availability(node, to)),
        1 => (0..3usize, 0..3usize).prop_map(|(node, to)| Act::Label(node, to)),
        1 => (0..3usize, 0..3usize).prop_map(|(node, to)| Act::Has(node, to)),
        2 => (0..3usize).prop_map(Act::Network),
        1 => (0..3usize).prop_map(Act::NetworkGone),
        2 => (0..3usize, 0..3usize, 0..3usize).prop_map(|(node, container, network)| Act::Attach(node, container, network)),
        1 => (0..3usize).prop_map(Act::Stop),
        1 => (0..3usize).prop_map(Act::Detach),
        2 => (0..100usize, 0..14usize).prop_map(|(task, to)| Act::Report(task, to)),
        1 => Just(Act::Leader),
        1 => (1..3usize).prop_map(Act::LosePlans),
        4 => (0..30_000u64).prop_map(Act::Advance),
    ]
}

fn images() -> BTreeMap<String, Image> {
    let second = Duration::from_secs(1);
    let image = |change: fn(&mut Image)| {
        let mut image = Image {
            start: Duration::from_secs(1),
            stop: Duration::from_secs(2),
            ..Image::default()
        };
        change(&mut image);
        image
    };
    let crash = Image {
        exits: Some((2 * second, 1)),
        ..Image::default()
    };
    let once = Image {
        exits: Some((3 * second, 0)),
        ..Image::default()
    };
    let named = [
        ("app:1", image(|_| {})),
        ("app:2", image(|image| image.stop = Duration::from_secs(90))),
        ("crash", crash),
        ("broken", image(|image| image.broken = true)),
        ("once", once),
    ];
    named
        .into_iter()
        .map(|(name, image)| (name.to_owned(), image))
        .collect()
}

fn world() -> World {
    let mut world = World::new();
    world.images = images();
    for name in NODES {
        world.add_node(name, 6, 8192);
    }
    world.create_network(network(0)).expect("there is none");
    world
}

fn with(mut spec: ServiceSpec, settings: &[(&'static str, String)]) -> ServiceSpec {
    let fits = |key: &str, mode: &Mode| match key {
        "replicas" => mode.replicated.is_some(),
        "completions" | "concurrent" => mode.replicated_job.is_some(),
        _ => !(mode.is_job() && key.starts_with("update-")),
    };
    for (key, value) in settings {
        if fits(key, &spec.mode) {
            assert!(set(&mut spec, key, value));
        }
    }
    spec
}

/// A wide one, one with room for a few, and the one that carries ports.
fn network(which: usize) -> NetworkSpec {
    let config = IpamConfig {
        subnet: "10.200.0.0/29".to_owned(),
        ..IpamConfig::default()
    };
    let ipam = Ipam {
        config: vec![config],
        ..Ipam::default()
    };
    NetworkSpec {
        name: NETWORKS[which].to_owned(),
        attachable: which < 2,
        ingress: which == 2,
        ipam: (which == 1).then_some(ipam),
        ..NetworkSpec::default()
    }
}

fn perform(world: &mut World, act: &Act) {
    let exists = |world: &World, node: usize| {
        let id: NodeId = id_of(NODES[node]);
        world.state.nodes().contains(&id).then_some(id)
    };
    match act {
        Act::Create(name, settings) => {
            let mut spec = plain(SERVICES[*name]);
            if !MODES[*name].is_empty() {
                set(&mut spec, "mode", MODES[*name]);
            }
            // A name or a port may be taken.
            let _ = world.create(with(spec, settings));
        }
        Act::Update(name, settings) => {
            if let Some(spec) = world.spec(SERVICES[*name]) {
                let _ = world.update(SERVICES[*name], with(spec, settings), false);
            }
        }
        Act::Rollback(name) => {
            if let Some(spec) = world.spec(SERVICES[*name]) {
                let _ = world.update(SERVICES[*name], spec, true);
            }
        }
        Act::Remove(name) => {
            let _ = world.remove(SERVICES[*name]);
        }
        Act::NodeDown(node) => exists(world, *node)
            .into_iter()
            .for_each(|id| world.node_down(id)),
        Act::NodeUp(node) => exists(world, *node)
            .into_iter()
            .for_each(|id| world.node_up(id)),
        Act::Silent(node) => world.silence(id_of(NODES[*node])),
        Act::Reset(node) => world.reset(id_of(NODES[*node])),
        Act::Heard(node) => exists(world, *node)
            .filter(|id| world.agents.contains_key(id))
            .into_iter()
            .for_each(|id| world.reconnect(id)),
        Act::Leaves(node) => exists(world, *node)
            .into_iter()
            .for_each(|id| world.depart(id)),
        Act::NodeGone(node) => {
            if let Some(id) = exists(world, *node) {
                world.node_down(id);
                world.remove_node(id).expect("a node that is down goes");
            }
        }
        Act::NodeNew(node) => {
            if exists(world, *node).is_none() {
                world.add_node(NODES[*node], 6, 8192);
            }
        }
        Act::Availability(node, to) => {
            let all = [
                Availability::Active,
                Availability::Pause,
                Availability::Drain,
            ];
            if let Some(id) = exists(world, *node) {
                world.change_node(id, |node| node.spec.availability = all[*to].clone());
            }
        }
        Act::Label(node, to) => {
            if let Some(id) = exists(world, *node) {
                let zone = ["a", "b", ""][*to].to_owned();
                world.change_node(id, |node| {
                    node.spec.labels.insert("zone".to_owned(), zone);
                });
            }
        }
        Act::Has(node, to) => {
            if let Some(id) = exists(world, *node) {
                let has = generic(KINDS[*to]);
                world.change_node(id, |node| {
                    node.description.resources.generic_resources = has;
                });
            }
        }
        Act::Network(which) => {
            // The name, the subnet or the place of the ingress network may be taken.
            let _ = world.create_network(network(*which));
        }
        Act::NetworkGone(which) => {
            let _ = world.remove_network(NETWORKS[*which]);
        }
        Act::Attach(node, container, network) => {
            if exists(world, *node).is_some() {
                let _ = world.attach(NODES[*node], CONTAINERS[*container], NETWORKS[*network]);
            }
        }
        Act::Stop(container) => world.stop_container(CONTAINERS[*container]),
        Act::Detach(container) => world.detach(CONTAINERS[*container]),
        Act::Report(task, to) => lie(world, *task, TaskState::ALL[*to]),
        Act::Leader => world.change_leader(),
        Act::LosePlans(count) => world.lose_plans = *count,
        Act::Advance(millis) => world.advance(Duration::from_millis(*millis)),
    }
}

/// Some node reports any state of any task, its own or not.
fn lie(world: &mut World, task: usize, state: TaskState) {
    let tasks: Vec<_> = world.state.tasks().iter().cloned().collect();
    let Some(task) = tasks.get(task % tasks.len().max(1)) else {
        return;
    };
    let report = StatusReport {
        task: task.id,
        status: TaskStatus {
            state,
            message: "so it said".to_owned(),
            ..TaskStatus::default()
        },
    };
    let node = task.node.unwrap_or(id_of("n1"));
    let (own, others) = (vec![report.clone()], vec![report]);
    assert!(
        status::accept(&world.state, id_of("stranger"), others)
            .plan
            .is_empty()
    );
    // Ends only: a container that runs without its agent's knowledge does not exist.
    if state.is_terminal() {
        let plan = status::accept(&world.state, node, own).plan;
        world.write(plan);
    }
}

/// More than any single state can break: what is asked for bounds what is there.
fn check(world: &World) {
    for service in world.state.services().iter() {
        let mut slots: BTreeMap<(u64, Option<NodeId>), Vec<&Task>> = BTreeMap::new();
        for task in world.state.tasks_of_service(service.id) {
            if task.desired.is_runnable() && !task.is_done() {
                let node = task.node.filter(|_| task.slot == 0);
                slots.entry((task.slot, node)).or_default().push(task);
            }
        }
        for (slot, tasks) in &slots {
            assert!(
                tasks.len() <= most_wanted(tasks),
                "slot {slot:?}: {tasks:#?}"
            );
        }
        if let Some(most) = replicas(world, service) {
            assert!(
                slots.len() as u64 <= most,
                "{} of {most} slots",
                slots.len()
            );
        }
    }
    check_jobs(world);
    check_nodes(world);
    world.check_facts();
}

/// A job runs no more at a time and completes no more than it was asked to, and nothing of its
/// earlier runs is wanted.
fn check_jobs(world: &World) {
    for service in world.state.services().iter() {
        let Some(job) = service.job else { continue };
        let tasks = || world.state.tasks_of_service(service.id);
        let current = || tasks().filter(|task| task.iteration == Some(job.iteration));
        for task in tasks().filter(|task| task.iteration != Some(job.iteration)) {
            let over = task.status.state.is_terminal() || task.desired == TaskState::Remove;
            assert!(over, "{task:#?} is of an earlier run");
        }
        // One that was given up with its node may have done its work all the same.
        let kept = |task: &&std::sync::Arc<Task>| task.desired.is_runnable();
        let done = current().filter(kept).filter(|task| task.is_done()).count() as u64;
        let wanted = current().filter(|task| task.desired.is_runnable() && !task.is_done());
        let wanted = wanted.count() as u64;
        let Some((most, total)) = completions(world, service) else {
            continue;
        };
        assert!(wanted <= most, "{wanted} of {most} at a time");
        assert!(wanted + done <= total, "{wanted} and {done} of {total}");
    }
}

fn completions(world: &World, service: &Service) -> Option<(u64, u64)> {
    let spec = world.state.current_spec(service)?;
    let job = spec.spec.mode.replicated_job.as_ref()?;
    Some((job.max_concurrent?, job.total_completions?))
}

/// Two tasks of a slot are wanted only if they are of different specs: old and new.
fn most_wanted(tasks: &[&Task]) -> usize {
    let mut specs: Vec<_> = tasks.iter().map(|task| task.spec).collect();
    specs.sort_unstable();
    specs.dedup();
    specs.len().max(1)
}

fn replicas(world: &World, service: &Service) -> Option<u64> {
    let spec = world.state.current_spec(service)?;
    spec.spec.mode.replicated.as_ref()?.replicas
}

/// No task is wanted where it cannot be, and nodes are told exactly what is theirs.
fn check_nodes(world: &World) {
    for task in world.state.tasks().iter() {
        let Some(id) = task.node else { continue };
        let node = world.state.nodes().get(&id);
        let wanted = task.desired == task.goal() && !task.status.state.is_terminal();
        let down = node.is_some_and(|node| node.status.state == NodeState::Down);
        let usable = node.is_some_and(|node| node.spec.availability != Availability::Drain)
            && (!down || waits_for_its_node(world, task));
        assert!(usable || !wanted, "{task:#?} is wanted on {node:#?}");
    }
    for node in world.state.nodes().iter() {
        for (id, assignment) in assignment::complete(&world.state, node.id) {
            let task = &world.state.tasks().get(&id).expect("assigned tasks exist");
            assert_eq!(
                (task.node, task.desired),
                (Some(node.id), assignment.desired)
            );
        }
    }
}

/// A task that another node could not do, or must not while this one may.
fn waits_for_its_node(world: &World, task: &Task) -> bool {
    let service = world.state.services().get(&task.service);
    let spec = service.and_then(|service| world.state.current_spec(service));
    spec.is_some_and(|spec| {
        let label = spec.spec.labels.get("swarmrs.disconnect");
        spec.spec.mode.is_global() || label.is_some_and(|word| word == "hold")
    })
}

/// Everything is well again, and time passes.
fn heal(world: &mut World) {
    mend(world);
    world.advance(Duration::from_secs(3_600));
}

/// All nodes are back, and every image is good.
fn mend(world: &mut World) {
    world.lose_plans = 0;
    world.images.clear();
    for name in NODES {
        let id: NodeId = id_of(name);
        if !world.state.nodes().contains(&id) {
            world.add_node(name, 6, 8192);
        }
        world.agents.entry(id).or_default();
        world.change_node(id, |node| {
            node.spec.availability = Availability::Active;
            // Who left comes again as another; here under its old name.
            node.left = false;
        });
        world.node_up(id);
    }
}

/// With nothing left to happen nothing is planned, by this leader or the next.
fn check_rest(world: &mut World) {
    world.plans.clear();
    world.change_leader();
    world.advance(Duration::from_secs(3_600));
    assert!(world.plans.is_empty(), "{:?}", world.plans);
    assert_eq!(world.agenda.next_wake(), None);
    for task in world.state.tasks().iter() {
        let state = task.status.state;
        let settled = match task.desired {
            TaskState::Running => {
                matches!(
                    state,
                    TaskState::Running | TaskState::Pending | TaskState::New
                )
            }
            TaskState::Complete => {
                task.is_done()
                    || matches!(
                        state,
                        TaskState::Running | TaskState::Pending | TaskState::New
                    )
            }
            TaskState::Shutdown => state.is_terminal(),
            // A node that lies may say of a held task that it did its work.
            TaskState::Ready => task.is_done(),
            _ => false,
        };
        assert!(settled, "{task:#?}");
        assert!(
            state > TaskState::Pending || !task.status.err.is_empty(),
            "{task:#?}"
        );
    }
    for service in world.state.services().iter() {
        let live = world.state.tasks_of_service(service.id);
        let wanted = live.filter(|task| task.desired.is_runnable()).count() as u64;
        let finite = world
            .state
            .current_spec(service)
            .is_some_and(|spec| spec.spec.task_template.restart_policy.is_some());
        if let (Some(replicas), false) = (replicas(world, service), finite) {
            assert!(wanted >= replicas, "{wanted} of {replicas}");
        }
        if let (Some((most, total)), false) = (completions(world, service), finite) {
            assert!(
                wanted >= most.min(total),
                "{wanted} of {total}, {most} at a time"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_history_keeps_the_rules_and_comes_to_rest(acts in prop::collection::vec(act(), 1..25)) {
        let mut world = world();
        for act in &acts {
            perform(&mut world, act);
            world.settle();
            check(&world);
        }
        heal(&mut world);
        check(&world);
        check_rest(&mut world);
    }

    #[test]
    fn so_does_one_in_which_a_leader_watches_the_nodes(acts in prop::collection::vec(act(), 1..25)) {
        let mut world = world();
        world.watch(id_of("n1"));
        for act in &acts {
            perform(&mut world, act);
            world.settle();
            check(&world);
        }
        mend(&mut world);
        world.advance(Duration::from_secs(20));
        check(&world);
        let lost = |node: &&Arc<Node>| node.status.state != NodeState::Ready;
        prop_assert_eq!(world.state.nodes().iter().find(lost), None);
        // Who watches never rests.
        world.leader = None;
        world.change_leader();
        world.advance(Duration::from_secs(3_600));
        check_rest(&mut world);
    }

    #[test]
    fn the_same_history_gives_the_same_state(acts in prop::collection::vec(act(), 1..15)) {
        let play = || {
            let mut world = world();
            for act in &acts {
                perform(&mut world, act);
                world.settle();
            }
            world.state.snapshot().to_bytes().expect("a state is JSON")
        };
        prop_assert_eq!(play(), play());
    }
}
