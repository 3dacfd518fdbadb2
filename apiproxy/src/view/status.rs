//! How a node and its swarm are: the page an operator reads, and the answer a probe gets.

use std::collections::BTreeMap;
use std::io;

use swarmrs_core::liveness;
use swarmrs_node::{ClusterView, ManagerGlance, Space, Standing, SwarmState};
use swarmrs_types::object::Node;
use swarmrs_types::report::{
    EngineReport, HealthReport, ManagerReport, QuorumReport, ServicesReport, StatusReport,
};

use super::convergence::{Convergence, convergence};

/// A disk with less than this times what is kept back will not last.
const LITTLE: u64 = 10;

/// Everything a report is made from.
pub struct Seen {
    pub standing: Standing,
    pub engine: EngineReport,
    /// What is worth a warning about the networks that the node carries, or why it carries none.
    pub networks: Result<Vec<String>, String>,
    /// None on a node that is no manager.
    pub manager: Option<ManagerGlance>,
}

/// The page.
pub fn status(seen: &Seen) -> StatusReport {
    let view = seen.manager.as_ref().map(|manager| &manager.view);
    let services = view.map(services).unwrap_or_default();
    let problems = problems(seen);
    let managers = view.map(managers).unwrap_or_default();
    StatusReport {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        healthy: problems.is_empty() && services.not_converged.is_empty(),
        swarm: seen.standing.state.as_str().to_owned(),
        node_id: seen.standing.node,
        engine: seen.engine.clone(),
        quorum: has_quorum(seen).map(|holds| quorum(&managers, holds)),
        managers,
        nodes: view.map(nodes).unwrap_or_default(),
        services,
        warnings: warnings(seen),
        problems,
    }
}

/// The answer to a probe.
pub fn health(seen: &Seen) -> HealthReport {
    let reasons = problems(seen);
    HealthReport {
        live: true,
        ready: reasons.is_empty(),
        quorum: has_quorum(seen),
        swarm: seen.standing.state.as_str().to_owned(),
        reasons,
    }
}

/// None on a node that is no manager.
fn has_quorum(seen: &Seen) -> Option<bool> {
    let manager = seen.manager.as_ref();
    manager.map(|manager| manager.store.has_leader)
}

fn problems(seen: &Seen) -> Vec<String> {
    let standing = &seen.standing;
    let mut problems = Vec::new();
    match standing.state {
        SwarmState::Inactive | SwarmState::Active => {}
        state if standing.error.is_empty() => {
            problems.push(format!("the node is {}", state.as_str()));
        }
        _ => problems.push(standing.error.clone()),
    }
    if !seen.engine.answers {
        problems.push(
            "the engine does not answer: running tasks go on, nothing can be started".to_owned(),
        );
    }
    problems.extend(seen.networks.as_ref().err().cloned());
    let Some(manager) = &seen.manager else {
        return problems;
    };
    if !manager.store.has_leader {
        problems
            .push("there is no quorum: more than half of the managers must be online".to_owned());
    }
    match &manager.space {
        Ok(space) if space.free < space.reserve => problems.push(format!(
            "the disk is full: {} left, changes are refused below {}",
            shown(space.free),
            shown(space.reserve)
        )),
        _ => {}
    }
    problems
}

fn warnings(seen: &Seen) -> Vec<String> {
    let space = seen.manager.as_ref().map(|manager| &manager.space);
    let space = space.and_then(little_space);
    let view = seen.manager.as_ref().map(|manager| &manager.view);
    let silent = view.and_then(silent_nodes);
    let networks = seen.networks.iter().flatten().cloned();
    space.into_iter().chain(silent).chain(networks).collect()
}

/// Nodes that fell silent together: more likely a network in trouble than so many lost nodes.
fn silent_nodes(view: &ClusterView) -> Option<String> {
    let nodes = view.state.nodes().iter();
    let silent = nodes.filter(|node| liveness::is_held(node)).count();
    (silent > 0).then(|| {
        format!(
            "{silent} nodes fell silent together: none is taken for lost, and their tasks stay, \
             until that settles"
        )
    })
}

fn little_space(space: &io::Result<Space>) -> Option<String> {
    match space {
        Ok(space) if space.free < space.reserve => None,
        Ok(space) if space.free < space.reserve.saturating_mul(LITTLE) => Some(format!(
            "only {} left on the data root's disk: changes are refused below {}",
            shown(space.free),
            shown(space.reserve)
        )),
        Ok(_) => None,
        Err(error) => Some(format!("the data root's disk cannot be looked at: {error}")),
    }
}

fn shown(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn quorum(managers: &[ManagerReport], holds: bool) -> QuorumReport {
    let count = managers.len() as u64;
    let reachable = managers.iter().filter(|manager| manager.reachable).count() as u64;
    let needed = count / 2 + 1;
    QuorumReport {
        holds,
        managers: count,
        reachable,
        needed,
        margin: reachable.saturating_sub(needed),
    }
}

fn managers(view: &ClusterView) -> Vec<ManagerReport> {
    let nodes = view.state.nodes().iter();
    let managers = nodes.filter_map(|node| manager(view, node));
    managers.collect()
}

fn manager(view: &ClusterView, node: &Node) -> Option<ManagerReport> {
    let addr = node.manager_addr.clone()?;
    let leader = view.leader == Some(node.id);
    Some(ManagerReport {
        id: node.id,
        hostname: node.description.hostname.clone(),
        addr,
        leader,
        reachable: view.is_reachable(node),
    })
}

fn nodes(view: &ClusterView) -> BTreeMap<String, u64> {
    let mut nodes = BTreeMap::new();
    for node in view.state.nodes().iter() {
        *nodes
            .entry(node.status.state.as_str().to_owned())
            .or_default() += 1;
    }
    nodes
}

fn services(view: &ClusterView) -> ServicesReport {
    let mut report = ServicesReport::default();
    for service in view.state.services().iter() {
        report.total += 1;
        match convergence(view, service) {
            (Convergence::Converged, _) => report.converged += 1,
            (Convergence::RolledBack, told) => {
                report.converged += 1;
                report.rolled_back.push(told);
            }
            (Convergence::Not, told) => report.not_converged.push(told),
        }
    }
    report.not_converged.sort_by(|a, b| a.name.cmp(&b.name));
    report.rolled_back.sort_by(|a, b| a.name.cmp(&b.name));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(state: SwarmState, engine: bool) -> Seen {
        Seen {
            standing: Standing {
                state,
                ..Standing::alone()
            },
            engine: EngineReport {
                answers: engine,
                version: String::new(),
            },
            networks: Ok(Vec::new()),
            manager: None,
        }
    }

    #[test]
    fn a_node_alone_with_its_engine_is_ready() {
        let health = health(&seen(SwarmState::Inactive, true));
        assert_eq!(
            (health.live, health.ready, health.quorum),
            (true, true, None)
        );
        assert_eq!(health.reasons, Vec::<String>::new());
    }

    #[test]
    fn a_node_that_carries_no_networks_is_not_ready_and_warnings_about_them_are_told() {
        let mut seen = seen(SwarmState::Inactive, true);
        seen.networks = Err("does not start".to_owned());
        assert_eq!(health(&seen).reasons, ["does not start"]);
        seen.networks = Ok(vec!["the VNI 4097 is taken".to_owned()]);
        assert!(health(&seen).ready);
        assert_eq!(status(&seen).warnings, ["the VNI 4097 is taken"]);
    }

    #[test]
    fn a_locked_node_lives_and_is_not_ready() {
        let health = health(&seen(SwarmState::Locked, true));
        assert_eq!((health.live, health.ready), (true, false));
        assert_eq!(health.reasons, ["the node is locked"]);
    }

    #[test]
    fn without_its_engine_a_node_is_not_ready_and_status_is_not_well() {
        let seen = seen(SwarmState::Inactive, false);
        assert!(!health(&seen).ready);
        let status = status(&seen);
        assert!(!status.healthy);
        assert_eq!(status.problems.len(), 1);
    }

    /// Of so many managers that can be reached, and so many that cannot, may be lost:
    #[test]
    fn of_a_quorum_it_is_told_how_many_managers_may_still_be_lost() {
        for (up, down, needed, margin) in [
            (1, 0, 1, 0),
            (2, 0, 2, 0),
            (3, 0, 2, 1),
            (2, 1, 2, 0),
            (1, 2, 2, 0),
            (5, 0, 3, 2),
            (4, 1, 3, 1),
            (7, 0, 4, 3),
            (9, 0, 5, 4),
        ] {
            let manager = |at| ManagerReport {
                id: "0123456789abcdefghijklmno".parse().unwrap(),
                hostname: String::new(),
                addr: String::new(),
                leader: at == 0,
                reachable: at < up,
            };
            let managers: Vec<_> = (0..up + down).map(manager).collect();
            let told = quorum(&managers, true);
            let expected = (up + down, up, needed, margin);
            assert_eq!(
                (told.managers, told.reachable, told.needed, told.margin),
                expected
            );
        }
    }

    #[test]
    fn a_disk_that_fills_up_is_a_warning_before_it_is_a_problem() {
        let told = |free| {
            little_space(&Ok(Space {
                free,
                reserve: 64 << 20,
            }))
        };
        assert_eq!(told(1 << 40), None);
        assert_eq!(
            told(100 << 20),
            Some(
                "only 100 MiB left on the data root's disk: changes are refused below 64 MiB"
                    .to_owned()
            )
        );
        assert_eq!(told(63 << 20), None);
    }
}
