//! Runs the scenarios in `scenarios/`: a manual of what the swarm does, checked.
//!
//! A scenario is a row of blocks, each with commands, a line `----`, and what they print. After
//! the commands of a block everything that can happen at that time has happened. Lines that begin
//! with `#` are prose. With `UPDATE=1` in the environment the files are written anew.
//!
//! ```text
//! node NAME [cpus=N] [memory=MIB] | drain | pause | active | down | up | remove | label K=V
//! node NAME silent | reset | heard | leaves
//! node NAME engine-label K=V | plugin KIND NAME | has KIND:NUMBER | has KIND:NAME,NAME | cpus N
//! image NAME [broken] [start=SPAN] [exits=CODE after=SPAN] [unhealthy=SPAN] [stop=SPAN]
//! service create NAME KEY=VALUE… | update NAME KEY=VALUE… | rollback NAME | rm NAME
//! network create NAME [subnet=CIDR] [attachable] [internal] [ingress] | rm NAME
//! attach NODE CONTAINER NETWORK | stop CONTAINER | detach CONTAINER
//! networks · addresses NAME · endpoint NAME · facts NODE
//! advance SPAN · leader · watch NODE · history N · lose-plans N
//! nodes
//! tasks [NAME] · count NAME · spread NAME · given NAME · status NAME · job NAME · plans · rest
//! ```
//!
//! `SCENARIO=name` in the environment plays that one only.

mod world;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use swarmrs_core::Draft;
use swarmrs_core::control::list::service_status;
use swarmrs_types::endpoint::Fact;
use swarmrs_types::object::Task;
use swarmrs_types::spec::{Availability, IpamConfig, NetworkSpec, PluginDescription};
use swarmrs_types::{Fault, NodeId, TaskId, TaskState};
use world::agent::Image;
use world::spec::{generic, plain, set, span};
use world::{World, id_of};

#[test]
fn every_scenario_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() >= 25, "only {} scenarios", files.len());
    if let Some(one) = std::env::var_os("SCENARIO") {
        files.retain(|file| file.file_stem() == Some(&one));
        assert!(!files.is_empty(), "no scenario {one:?}");
    }
    let mut wrong = Vec::new();
    for file in files {
        let written = std::fs::read_to_string(&file).expect("readable");
        let played = play(&written);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &played).expect("writable");
        } else if played != written {
            wrong.push(format!("{}:\n{played}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "went otherwise:\n{}", wrong.join("\n"));
}

/// The scenario with what its commands print now.
fn play(text: &str) -> String {
    let mut world = World::new();
    let mut out = String::new();
    let mut printed = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line == "----" {
            let _ = write!(out, "----\n{printed}");
            printed.clear();
            skipping = true;
        } else if skipping {
            if line.is_empty() {
                skipping = false;
                out.push('\n');
            }
        } else {
            let _ = writeln!(out, "{line}");
            if !line.is_empty() && !line.starts_with('#') {
                let words: Vec<&str> = line.split_whitespace().collect();
                printed += &run(&mut world, &words);
            }
        }
    }
    out
}

fn run(world: &mut World, words: &[&str]) -> String {
    let printed = match words {
        ["node", name, rest @ ..] => node(world, name, rest),
        ["image", name, rest @ ..] => image(world, name, rest),
        ["service", rest @ ..] => match service(world, rest) {
            Ok(()) => String::new(),
            Err(fault) => format!("refused: {fault:?}\n"),
        },
        ["network", rest @ ..] => match network(world, rest) {
            Ok(()) => String::new(),
            Err(fault) => format!("refused: {}\n", fault.text),
        },
        ["attach", node, container, network] => match world.attach(node, container, network) {
            Ok(lease) => format!("{:?}{}\n", lease.addresses, way_out(lease.gateway)),
            Err(fault) => format!("refused: {}\n", fault.text),
        },
        ["stop", container] => {
            world.stop_container(container);
            String::new()
        }
        ["detach", container] => {
            world.detach(container);
            String::new()
        }
        ["networks"] => return networks(world),
        ["addresses", name] => return addresses(world, name),
        ["endpoint", name] => return endpoint(world, name),
        ["facts", node] => return facts(world, node),
        ["advance", time] => {
            world.advance(span(time));
            String::new()
        }
        ["leader"] => {
            world.change_leader();
            String::new()
        }
        ["watch", node] => {
            world.watch(id_of(node));
            String::new()
        }
        ["nodes"] => return nodes(world),
        ["history", limit] => history(world, limit.parse().expect("a number")),
        ["lose-plans", count] => {
            world.lose_plans = count.parse().expect("a number");
            String::new()
        }
        ["tasks"] => return tasks(world, None),
        ["tasks", name] => return tasks(world, Some(name)),
        ["count", name] => return count(world, name),
        ["spread", name] => return spread(world, name),
        ["given", name] => return given(world, name),
        ["status", name] => return status(world, name),
        ["job", name] => return job(world, name),
        ["plans"] => return plans(world),
        ["rest"] => return rest(world),
        other => panic!("no such command: {other:?}"),
    };
    world.settle();
    world.check_facts();
    printed
}

fn pair(word: &str) -> (&str, &str) {
    word.split_once('=').unwrap_or((word, ""))
}

fn node(world: &mut World, name: &str, words: &[&str]) -> String {
    let id = id_of(name);
    match words {
        ["drain"] => world.change_node(id, |node| node.spec.availability = Availability::Drain),
        ["pause"] => world.change_node(id, |node| node.spec.availability = Availability::Pause),
        ["active"] => world.change_node(id, |node| node.spec.availability = Availability::Active),
        ["down"] => world.node_down(id),
        ["silent"] => world.silence(id),
        ["reset"] => world.reset(id),
        ["heard"] => world.reconnect(id),
        ["leaves"] => world.depart(id),
        ["up"] => world.node_up(id),
        ["remove"] => {
            if let Err(fault) = world.remove_node(id) {
                return format!("refused: {fault:?}\n");
            }
        }
        ["label", label] => {
            let (key, value) = pair(label);
            world.change_node(id, |node| {
                node.spec.labels.insert(key.to_owned(), value.to_owned());
            });
        }
        ["engine-label", label] => {
            let (key, value) = pair(label);
            world.change_node(id, |node| {
                let labels = &mut node.description.engine.labels;
                labels.insert(key.to_owned(), value.to_owned());
            });
        }
        ["plugin", kind, name] => world.change_node(id, |node| {
            let plugin = PluginDescription {
                kind: (*kind).to_owned(),
                name: (*name).to_owned(),
            };
            node.description.engine.plugins.push(plugin);
        }),
        ["has", what] => world.change_node(id, |node| {
            node.description.resources.generic_resources = generic(what);
        }),
        ["cpus", number] => world.change_node(id, |node| {
            let number: i64 = number.parse().expect("a number");
            node.description.resources.nano_cpus = number * 1_000_000_000;
        }),
        settings => {
            let get = |wanted: &str, default: i64| {
                let found = settings
                    .iter()
                    .map(|word| pair(word))
                    .find(|(key, _)| *key == wanted);
                found.map_or(default, |(_, value)| value.parse().expect("a number"))
            };
            world.add_node(name, get("cpus", 8), get("memory", 8192));
        }
    }
    String::new()
}

/// How the managers see the nodes.
fn nodes(world: &World) -> String {
    let mut lines: Vec<_> = world
        .state
        .nodes()
        .iter()
        .map(|node| {
            let status = &node.status;
            let line = format!(
                "{:4} {:8} {}",
                name_of(node.id),
                status.state.as_str(),
                status.message
            );
            line.trim_end().to_owned()
        })
        .collect();
    lines.sort();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn image(world: &mut World, name: &str, words: &[&str]) -> String {
    let mut image = Image::default();
    for word in words {
        match pair(word) {
            ("broken", _) => image.broken = true,
            ("start", time) => image.start = span(time),
            ("stop", time) => image.stop = span(time),
            ("unhealthy", time) => image.unhealthy = Some(span(time)),
            ("exits", code) => image.exits = Some((span("0s"), code.parse().expect("a code"))),
            ("after", time) => {
                let code = image.exits.map_or(0, |(_, code)| code);
                image.exits = Some((span(time), code));
            }
            other => panic!("no such setting: {other:?}"),
        }
    }
    world.images.insert(name.to_owned(), image);
    String::new()
}

fn service(world: &mut World, words: &[&str]) -> Result<(), Fault> {
    match words {
        ["create", name, settings @ ..] => {
            let mut spec = plain(name);
            apply(&mut spec, settings);
            world.create(spec)
        }
        ["update", name, settings @ ..] => {
            let mut spec = world.spec(name).expect("the service is there");
            apply(&mut spec, settings);
            world.update(name, spec, false)
        }
        ["rollback", name] => {
            let spec = world.spec(name).expect("the service is there");
            world.update(name, spec, true)
        }
        ["rm", name] => world.remove(name),
        other => panic!("no such command: {other:?}"),
    }
}

fn network(world: &mut World, words: &[&str]) -> Result<(), Fault> {
    match words {
        ["create", name, settings @ ..] => {
            let mut spec = NetworkSpec {
                name: (*name).to_owned(),
                ..NetworkSpec::default()
            };
            for word in settings {
                match pair(word) {
                    ("subnet", subnet) => {
                        let config = IpamConfig {
                            subnet: subnet.to_owned(),
                            ..IpamConfig::default()
                        };
                        spec.ipam.get_or_insert_default().config.push(config);
                    }
                    ("attachable", _) => spec.attachable = true,
                    ("internal", _) => spec.internal = true,
                    ("ingress", _) => spec.ingress = true,
                    other => panic!("no such setting: {other:?}"),
                }
            }
            world.create_network(spec)
        }
        ["rm", name] => world.remove_network(name),
        other => panic!("no such command: {other:?}"),
    }
}

fn networks(world: &World) -> String {
    let mut networks: Vec<_> = world.state.networks().iter().collect();
    networks.sort_by_key(|network| network.name().to_owned());
    let mut out = String::new();
    for network in networks {
        let segments = network.segments.iter();
        let segments = segments.map(|own| {
            let segment = own.segment;
            format!(
                "{} via {} on {}",
                segment.subnet, segment.gateway, segment.vni
            )
        });
        let segments: Vec<_> = segments.collect();
        let held = world.state.holders(network.id).count();
        let _ = writeln!(
            out,
            "{}: {}, {held} held",
            network.name(),
            segments.join(", ")
        );
    }
    out
}

/// The addresses of a service's tasks that have not ended.
fn addresses(world: &World, name: &str) -> String {
    let named = |task: &&std::sync::Arc<Task>| {
        let spec = world.state.spec_of(task);
        spec.is_some_and(|spec| spec.spec.name == name) && !task.status.state.is_terminal()
    };
    let mut tasks: Vec<_> = world.state.tasks().iter().filter(named).collect();
    tasks.sort_by_key(|task| (task.slot, task.created, task.id));
    let mut out = String::new();
    for task in tasks {
        let own = task.networks.iter().map(|on| {
            let network = world
                .state
                .network(on.network)
                .map_or("?", |found| found.name());
            let addresses = on.addresses.iter().map(ToString::to_string);
            format!("{network} {}", addresses.collect::<Vec<_>>().join(" "))
        });
        let own: Vec<_> = own.collect();
        let _ = writeln!(out, "{} {}", short_name(world, task), own.join(", "));
    }
    if out.is_empty() {
        out.push_str("none\n");
    }
    out
}

/// A service's own addresses and its ports.
fn endpoint(world: &World, name: &str) -> String {
    let Some(service) = world.service(name) else {
        return "no such service\n".to_owned();
    };
    let own = service.endpoint.virtual_ips.iter().map(|ip| {
        let network = world
            .state
            .network(ip.network)
            .map_or("?", |found| found.name());
        format!("{network} {}", ip.addr)
    });
    let ports = service.endpoint.ports.iter().map(|port| {
        let mode = port.publish_mode.as_ref().map_or("", |mode| mode.as_str());
        format!("{}->{} {mode}", port.published_port, port.target_port)
    });
    let all: Vec<_> = own.chain(ports).collect();
    match all.as_slice() {
        [] => "nothing\n".to_owned(),
        all => format!("{}\n", all.join(", ")),
    }
}

/// What a node knows of networks.
fn facts(world: &World, node: &str) -> String {
    let name = |id| {
        world
            .state
            .network(id)
            .map_or("?".to_owned(), |found| found.name().to_owned())
    };
    let mut lines = Vec::new();
    for fact in world.facts[&id_of::<NodeId>(node)].values() {
        lines.push(match fact {
            Fact::Network(network) => format!("network {}", network.name),
            Fact::Peer(peer) => {
                let own = peer
                    .ingress
                    .map_or_else(String::new, |own| format!(" {own}"));
                format!("peer {} number {}{own}", name_of(peer.node), peer.index)
            }
            Fact::Endpoint(endpoint) => {
                let task = world.state.tasks().get(&TaskId(endpoint.owner));
                let owner = task.map_or(endpoint.name.clone(), |task| short_name(world, task));
                let ready = if endpoint.ready { "ready" } else { "not ready" };
                let network = name(endpoint.network);
                format!(
                    "{network}: {owner} on {} {ready}{}",
                    name_of(endpoint.node),
                    way_out(endpoint.gateway)
                )
            }
            Fact::Service(service) => {
                let ports = service
                    .ports
                    .iter()
                    .map(|port| format!(" {}", port.published_port));
                let vip = service
                    .vip
                    .map_or("its tasks".to_owned(), |vip| vip.to_string());
                format!(
                    "{}: {} at {vip}{}",
                    name(service.network),
                    service.name,
                    ports.collect::<String>()
                )
            }
        });
    }
    lines.sort();
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn way_out(gateway: bool) -> &'static str {
    if gateway { ", its way out" } else { "" }
}

fn apply(spec: &mut swarmrs_types::spec::ServiceSpec, settings: &[&str]) {
    for word in settings {
        let (key, value) = pair(word);
        assert!(set(spec, key, value), "no such setting: {word}");
    }
}

fn history(world: &mut World, limit: i64) -> String {
    let mut draft = Draft::new(&world.state, world.now);
    if let Some(cluster) = world.state.cluster() {
        let mut cluster = (**cluster).clone();
        cluster.spec.orchestration.task_history_retention_limit = Some(limit);
        draft.put_cluster(cluster);
    }
    let plan = draft.finish();
    assert!(world.write(plan));
    String::new()
}

/// As `docker service ps`: by name, the newest first.
fn tasks(world: &World, name: Option<&str>) -> String {
    let service_of = |task: &Task| {
        let spec = world.state.spec_of(task);
        spec.map(|spec| spec.spec.name.clone())
    };
    let mut tasks: Vec<_> = world
        .state
        .tasks()
        .iter()
        .filter(|task| name.is_none() || service_of(task).as_deref() == name)
        .collect();
    tasks.sort_by_key(|task| {
        let node = task.node.filter(|_| task.slot == 0);
        (
            service_of(task),
            task.slot,
            node,
            Reverse((task.created, task.id)),
        )
    });
    let mut out = String::new();
    for task in &tasks {
        let _ = writeln!(out, "{}", line(world, task));
    }
    if tasks.is_empty() {
        out.push_str("no tasks\n");
    }
    out
}

fn line(world: &World, task: &Task) -> String {
    let node = task.node.map_or("-".to_owned(), name_of);
    let spec = world.state.spec_of(task);
    let container = spec.and_then(|spec| spec.spec.task_template.container_spec.as_ref());
    let image = container.map_or("", |container| container.image.as_str());
    let text = format!(
        "{:8} {:6} {node:4} {:9} {:9} {}",
        short_name(world, task),
        image,
        task.desired.to_string(),
        task.status.state.to_string(),
        remark(task),
    );
    text.trim_end().to_owned()
}

/// The error, or the manager's explanation of a wait.
fn remark(task: &Task) -> String {
    let delayed = task.status.message.split_once("; ").map(|(_, why)| why);
    match delayed {
        Some(why) if task.status.err.is_empty() => why.to_owned(),
        _ => task.status.err.clone(),
    }
}

/// How many tasks of a service are in which state, wanted to run or not.
fn count(world: &World, name: &str) -> String {
    let Some(service) = world.service(name) else {
        return "no such service\n".to_owned();
    };
    let tasks = || world.state.tasks_of_service(service.id);
    let wanted = tasks().filter(|task| task.desired.is_runnable()).count();
    let running = tasks()
        .filter(|task| task.status.state == TaskState::Running)
        .count();
    format!(
        "{wanted} wanted, {running} running, {} known\n",
        tasks().count()
    )
}

/// How many tasks that are wanted each node has of a service.
fn spread(world: &World, name: &str) -> String {
    let mut nodes: BTreeMap<NodeId, usize> = BTreeMap::new();
    let service = world.service(name).expect("the service is there");
    let tasks = world.state.tasks_of_service(service.id);
    for node in tasks
        .filter(|task| task.desired.is_runnable())
        .filter_map(|task| task.node)
    {
        *nodes.entry(node).or_default() += 1;
    }
    let counts = nodes
        .iter()
        .map(|(node, count)| format!("{} {count}", name_of(*node)));
    format!("{}\n", counts.collect::<Vec<_>>().join(", "))
}

/// What the tasks of a service were given of their nodes' generic resources.
fn given(world: &World, name: &str) -> String {
    let service = world.service(name).expect("the service is there");
    let mut tasks: Vec<_> = world.state.tasks_of_service(service.id).collect();
    tasks.retain(|task| task.desired.is_runnable());
    tasks.sort_by_key(|task| (task.slot, task.node));
    let mut out = String::new();
    for task in tasks {
        let values = task.resources.iter().map(|given| {
            let count = given.discrete_resource_spec.as_ref();
            let count = count.map(|count| format!("{}:{}", count.kind, count.value));
            let named = given.named_resource_spec.as_ref();
            let named = named.map(|named| format!("{}:{}", named.kind, named.value));
            count.or(named).unwrap_or_default()
        });
        let values: Vec<_> = values.collect();
        let node = task.node.map_or("-".to_owned(), name_of);
        let _ = writeln!(
            out,
            "{} {node} [{}]",
            short_name(world, task),
            values.join(" ")
        );
    }
    out
}

/// As `docker service ls` shows a job, with the run it is in.
fn job(world: &World, name: &str) -> String {
    let service = world.service(name).expect("the service is there");
    let status = service_status(&world.state, &service);
    let iteration = service.job.map_or(0, |job| job.iteration);
    let (running, desired) = (status.running, status.desired);
    format!(
        "run {iteration}: {running}/{desired} ({} completed)\n",
        status.completed
    )
}

fn status(world: &World, name: &str) -> String {
    let Some(service) = world.service(name) else {
        return "no such service\n".to_owned();
    };
    let specs: Vec<_> = world
        .state
        .specs_of(service.id)
        .map(|spec| spec.number)
        .collect();
    let spec = service.spec;
    match service.update_status {
        None => format!("spec {spec} of {specs:?}\n"),
        Some(status) => {
            let text = with_names(world, &status.message);
            format!(
                "spec {spec} of {specs:?}, {}: {text}\n",
                status.state.as_str()
            )
        }
    }
}

/// Puts short names in place of the ids of tasks.
fn with_names(world: &World, text: &str) -> String {
    let name = |word: &str| {
        let task = word
            .parse()
            .ok()
            .and_then(|id| world.state.tasks().get(&id));
        task.map_or(word.to_owned(), |task| short_name(world, task))
    };
    text.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

/// The leader's plans since the last look.
fn plans(world: &mut World) -> String {
    let plans = std::mem::take(&mut world.plans);
    let changes: usize = plans.iter().map(|plan| plan.changes).sum();
    let most = plans.iter().map(|plan| plan.changes).max().unwrap_or(0);
    format!(
        "{} plans, {changes} changes, at most {most} at once\n",
        plans.len()
    )
}

/// Whether the leader waits for a time or for events only.
fn rest(world: &World) -> String {
    match world.agenda.next_wake() {
        None => "waits for events\n".to_owned(),
        Some(at) => {
            let wait = at.since(world.now).as_millis().div_ceil(100) as f64 / 10.0;
            format!("looks again in {wait}s\n")
        }
    }
}

/// A node's name: its id without the padding.
fn name_of(id: NodeId) -> String {
    id.as_str().trim_start_matches('0').to_owned()
}

/// `web.2`, or `web.n1` for a global service.
fn short_name(world: &World, task: &Task) -> String {
    let spec = world.state.spec_of(task);
    let service = spec.map_or("?", |spec| &spec.spec.name);
    match (task.slot, task.node) {
        (0, Some(node)) => format!("{service}.{}", name_of(node)),
        _ => format!("{service}.{}", task.shown_slot()),
    }
}
