//! Who is lost, and when.

use super::*;
use crate::orchestrator::tests::{at, cluster, id, node, put_node, state};
use crate::{Agenda, Change, Object};
use swarmrs_types::object::NodeStatus;

/// A leader `m1` and what it sees, with a clock in milliseconds.
struct Scene {
    state: State,
    agenda: Agenda,
    now: ClusterTime,
}

fn ms(millis: u64) -> ClusterTime {
    at(0).after(Duration::from_millis(millis))
}

impl Scene {
    fn new(names: &[&str]) -> Self {
        let state = state(names.iter().map(|name| put_node(node(name))).collect());
        let agenda = Agenda::default().watching(&state, id("m1"), at(0));
        Scene {
            state,
            agenda,
            now: at(0),
        }
    }

    /// Lets the beats of the nodes that are heard go on until `until` milliseconds.
    fn beat(&mut self, by: &str, heard: &[&str], until: u64) {
        while self.now < ms(until) {
            self.now = self.now.after(Duration::from_millis(500)).min(ms(until));
            self.see(by, heard);
            self.judge();
        }
    }

    fn see(&mut self, by: &str, heard: &[&str]) {
        let seen = Note::Seen {
            by: id(by),
            nodes: heard.iter().map(|name| id(name)).collect(),
        };
        self.agenda.presence(seen, self.now);
    }

    fn ends(&mut self, by: &str, name: &str, how: Ending) {
        let ended = Note::Ended {
            by: id(by),
            node: id(name),
            how,
        };
        self.agenda.presence(ended, self.now);
        self.judge();
    }

    /// Writes a node as its manager would.
    fn write(&mut self, mut new: Node) {
        let mut draft = Draft::new(&self.state, self.now);
        let meta = self.state.nodes().get(&new.id).map(|old| old.meta);
        new.meta = meta.unwrap_or_default();
        draft.put_node(new);
        let plan = draft.finish();
        self.apply(plan);
    }

    fn judge(&mut self) {
        let mut draft = Draft::new(&self.state, self.now);
        self.agenda.liveness_mut().judge(&mut draft);
        let plan = draft.finish();
        self.apply(plan);
    }

    fn apply(&mut self, plan: crate::Plan) {
        if plan.is_empty() {
            return;
        }
        let command = plan.into_command(self.now, self.now.shown());
        let index = self.state.applied() + 1;
        let events = self.state.apply(index, &command).expect("nobody else");
        for event in &events {
            self.agenda.note(&self.state, event);
        }
    }

    /// The nodes by state: `m1 ready, w1 down`.
    fn nodes(&self) -> String {
        let nodes = self.state.nodes().iter();
        let mut shown: Vec<_> = nodes
            .map(|node| {
                let name = node.id.as_str().trim_start_matches('0').to_owned();
                format!("{name} {}", node.status.state.as_str())
            })
            .collect();
        shown.sort();
        shown.join(", ")
    }

    fn status(&self, name: &str) -> &NodeStatus {
        &self.state.nodes().get(&id(name)).expect("there").status
    }
}

const THREE: [&str; 3] = ["m1", "w1", "w2"];

#[test]
fn a_node_that_is_silent_for_the_period_is_down_and_ready_when_it_is_heard() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 2_000);
    scene.beat("m1", &["m1", "w1"], 6_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1", "w1"], 7_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
    assert_eq!(scene.status("w2").message, "heartbeat failure");
    scene.beat("m1", &THREE, 8_000);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    assert_eq!(scene.status("w2").message, "");
}

#[test]
fn a_broken_connection_is_forgiven_if_the_node_dials_again_at_once() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.ends("m1", "w2", Ending::Reset);
    scene.beat("m1", &["m1", "w1"], 2_000);
    scene.see("m1", &THREE);
    scene.beat("m1", &THREE, 9_000);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.ends("m1", "w2", Ending::Reset);
    scene.beat("m1", &["m1", "w1"], 10_600);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

#[test]
fn a_daemon_that_says_it_will_be_back_has_a_period() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.ends("m1", "w2", Ending::Goodbye);
    scene.beat("m1", &["m1", "w1"], 5_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1", "w1"], 6_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

#[test]
fn a_connection_that_was_silent_to_its_end_was_not_heard_meanwhile() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.beat("m1", &THREE, 3_000);
    scene.ends("m1", "w2", Ending::Silence);
    scene.beat("m1", &["m1", "w1"], 5_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1", "w1"], 6_100);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

#[test]
fn a_daemon_that_was_killed_and_is_back_within_three_seconds_was_never_away() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.ends("m1", "w2", Ending::Silence);
    scene.beat("m1", &["m1", "w1"], 3_900);
    scene.see("m1", &THREE);
    scene.beat("m1", &THREE, 9_000);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
}

#[test]
fn an_end_told_by_who_does_not_serve_the_node_any_more_says_nothing() {
    let mut scene = Scene::new(&["m1", "m2", "w1"]);
    scene.beat("m1", &["m1", "w1"], 1_000);
    scene.beat("m2", &["m2", "w1"], 1_500);
    scene.ends("m1", "w1", Ending::Reset);
    scene.beat("m2", &["m2"], 4_500);
    assert_eq!(scene.status("w1").state, NodeState::Ready);
}

#[test]
fn a_manager_that_is_silent_itself_says_nothing_about_its_nodes() {
    let mut scene = Scene::new(&["m1", "m2", "w1"]);
    scene.see("m2", &["m2", "w1"]);
    scene.beat("m1", &["m1"], 5_500);
    assert_eq!(scene.nodes(), "m1 ready, m2 ready, w1 ready");
    scene.beat("m1", &["m1", "w1"], 10_500);
    assert_eq!(scene.nodes(), "m1 ready, m2 down, w1 ready");
}

#[test]
fn a_new_leader_gives_every_node_a_period() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &["m1"], 4_500);
    scene.agenda = Agenda::default().watching(&scene.state, id("m1"), scene.now);
    scene.beat("m1", &["m1"], 9_000);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1"], 9_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 down, w2 down");
}

#[test]
fn a_leader_that_stood_still_begins_anew() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.now = ms(60_000);
    scene.judge();
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1", "w1"], 64_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 ready");
    scene.beat("m1", &["m1", "w1"], 65_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

#[test]
fn a_leader_that_stood_still_does_not_find_the_lost_alive() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    scene.ends("m1", "w2", Ending::Reset);
    scene.beat("m1", &["m1", "w1"], 3_000);
    assert_eq!(scene.status("w2").state, NodeState::Down);
    assert!(!scene.agenda.liveness_mut().is_due(scene.now));
    scene.now = ms(60_000);
    scene.judge();
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

const NINE: [&str; 9] = ["m1", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8"];

#[test]
fn many_that_fall_silent_at_once_are_unknown_until_it_settles() {
    let mut scene = Scene::new(&NINE);
    scene.beat("m1", &NINE, 1_000);
    scene.beat("m1", &NINE[..6], 6_000);
    let unknown = "m1 ready, w1 ready, w2 ready, w3 ready, w4 ready, w5 ready, w6 unknown, w7 unknown, w8 unknown";
    assert_eq!(scene.nodes(), unknown);
    let message = "silent together with other nodes (2): not taken for lost until that settles";
    assert_eq!(scene.status("w6").message, message);
    let loss = scene.agenda.liveness_mut().mass.as_ref();
    assert_eq!(loss.expect("so it is").silent.len(), 3);
    let state = &scene.state;
    let held = state.nodes().iter().filter(|node| is_held(node)).count();
    assert_eq!(held, 3);
    scene.beat("m1", &NINE[..7], 11_000);
    let two = "m1 ready, w1 ready, w2 ready, w3 ready, w4 ready, w5 ready, w6 ready, w7 unknown, w8 unknown";
    assert_eq!(scene.nodes(), two);
    scene.beat("m1", &NINE[..7], 12_000);
    assert_eq!(scene.status("w7").state, NodeState::Down);
    assert_eq!(scene.agenda.liveness_mut().mass, None);
}

#[test]
fn many_that_come_back_one_by_one_are_all_there_again() {
    let mut scene = Scene::new(&NINE);
    scene.beat("m1", &NINE, 1_000);
    scene.beat("m1", &NINE[..5], 7_000);
    for (count, until) in [(6, 9_000), (7, 11_000), (8, 13_000), (9, 15_000)] {
        scene.beat("m1", &NINE[..count], until);
        let nodes = scene.nodes();
        assert!(!nodes.contains("down"), "{nodes}");
    }
    assert!(!scene.nodes().contains("unknown"));
    assert_eq!(scene.agenda.liveness_mut().mass, None);
}

#[test]
fn many_that_stay_silent_are_lost_after_another_period() {
    let mut scene = Scene::new(&NINE);
    scene.beat("m1", &NINE, 1_000);
    scene.beat("m1", &NINE[..5], 10_500);
    assert_eq!(scene.status("w5").state, NodeState::Unknown);
    scene.beat("m1", &NINE[..5], 11_500);
    assert_eq!(scene.status("w5").state, NodeState::Down);
    assert_eq!(scene.status("w5").message, UNKNOWN_FAILURE);
    assert_eq!(scene.status("w4").state, NodeState::Ready);
}

#[test]
fn one_more_that_falls_silent_begins_the_wait_anew() {
    let mut scene = Scene::new(&NINE);
    scene.beat("m1", &NINE, 1_000);
    scene.beat("m1", &NINE[..6], 9_000);
    scene.beat("m1", &NINE[..5], 15_500);
    assert_eq!(scene.status("w8").state, NodeState::Unknown);
    scene.beat("m1", &NINE[..5], 17_000);
    assert_eq!(scene.status("w8").state, NodeState::Down);
}

#[test]
fn nodes_that_come_and_go_for_ever_do_not_hide_the_lost() {
    let mut scene = Scene::new(&NINE);
    scene.beat("m1", &NINE, 1_000);
    let (mut until, mut turn) = (1_000, 0);
    while until < 36_000 {
        until += 3_000;
        turn = 1 - turn;
        scene.beat("m1", &NINE[..5 + turn], until);
    }
    assert_eq!(scene.status("w8").state, NodeState::Down);
}

#[test]
fn a_few_of_a_few_are_lost_one_by_one() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &["m1"], 5_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 down, w2 down");
}

#[test]
fn who_left_is_not_heard_any_more() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    let plan = crate::control::node::join::departed(&scene.state, id("w2"), scene.now);
    let command = plan.into_command(scene.now, scene.now.shown());
    let index = scene.state.applied() + 1;
    scene.state.apply(index, &command).expect("nobody else");
    scene.beat("m1", &THREE, 2_000);
    assert_eq!(scene.nodes(), "m1 ready, w1 ready, w2 down");
}

#[test]
fn a_newcomer_has_time_until_its_first_session_and_says_itself_that_it_is_ready() {
    let mut fresh = node("w1");
    fresh.status.state = NodeState::Unknown;
    let state = state(vec![put_node(node("m1")), put_node(fresh)]);
    let agenda = Agenda::default().watching(&state, id("m1"), at(0));
    let mut scene = Scene {
        state,
        agenda,
        now: at(0),
    };
    scene.beat("m1", &["m1"], 29_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 unknown");
    scene.beat("m1", &["m1"], 30_500);
    assert_eq!(scene.nodes(), "m1 ready, w1 down");
}

#[test]
fn newcomers_that_never_come_do_not_hide_a_lost_node() {
    let mut scene = Scene::new(&THREE);
    scene.beat("m1", &THREE, 1_000);
    for name in ["a1", "a2", "a3", "a4"] {
        let mut fresh = node(name);
        fresh.status.state = NodeState::Unknown;
        scene.write(fresh);
    }
    scene.beat("m1", &["m1", "w1"], 6_500);
    assert_eq!(
        scene.nodes(),
        "a1 unknown, a2 unknown, a3 unknown, a4 unknown, m1 ready, w1 ready, w2 down"
    );
    assert_eq!(scene.status("w2").message, "heartbeat failure");
    scene.beat("m1", &["m1", "w1"], 31_500);
    assert_eq!(
        scene.nodes(),
        "a1 down, a2 down, a3 down, a4 down, m1 ready, w1 ready, w2 down"
    );
}

#[test]
fn a_newcomer_that_never_comes_is_down_in_the_midst_of_a_mass_loss() {
    let names = ["m1", "w1", "w2", "w3"];
    let mut scene = Scene::new(&names);
    let mut fresh = node("a1");
    fresh.status.state = NodeState::Unknown;
    scene.write(fresh);
    scene.beat("m1", &names, 24_500);
    scene.beat("m1", &["m1"], 30_500);
    assert_eq!(
        scene.nodes(),
        "a1 down, m1 ready, w1 unknown, w2 unknown, w3 unknown"
    );
}

#[test]
fn a_lone_leader_wakes_for_nothing() {
    let mut scene = Scene::new(&["m1"]);
    scene.see("m1", &["m1"]);
    scene.judge();
    assert_eq!(scene.agenda.next_wake(), None);
}

#[test]
fn the_period_is_the_swarms_and_a_tiny_one_is_not_kept() {
    let mut state = State::default();
    assert_eq!(period(&state), Duration::from_secs(5));
    let mut cluster = cluster();
    cluster.spec.dispatcher.heartbeat_period = swarmrs_types::Nanos(1);
    let change = Change::Put {
        object: Object::Cluster(cluster.into()),
        expect: crate::Expect::Absent,
    };
    let plan = crate::Plan {
        changes: vec![change],
        ..crate::Plan::default()
    };
    let command = plan.into_command(at(0), at(0).shown());
    state.apply(1, &command).expect("nobody else");
    assert_eq!(period(&state), Duration::from_secs(1));
}

#[test]
fn nodes_that_came_after_the_leader_began_are_watched_too() {
    let mut scene = Scene::new(&["m1"]);
    scene.beat("m1", &["m1"], 1_000);
    for name in ["m2", "w1"] {
        let mut fresh = node(name);
        fresh.status.state = NodeState::Unknown;
        scene.write(fresh);
        scene.judge();
        scene.write(node(name));
    }
    for step in 3..=20 {
        scene.see("m2", &["m2", "w1"]);
        scene.beat("m1", &["m1"], step * 500);
    }
    scene.ends("m2", "w1", Ending::Reset);
    for step in 21..=24 {
        scene.see("m2", &["m2"]);
        scene.beat("m1", &["m1"], step * 500);
    }
    assert_eq!(scene.nodes(), "m1 ready, m2 ready, w1 down");
}
