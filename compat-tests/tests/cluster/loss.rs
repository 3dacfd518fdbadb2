//! More than one manager, or a worker for long: what is lost with them, and what is not.

use std::time::{Duration, Instant};

use swarmrs_compat_tests::observe::{task_containers, wait_until_gone, with_plugin};
use swarmrs_compat_tests::swarm::sleepers;
use swarmrs_compat_tests::testbed::unique;
use swarmrs_compat_tests::web::{curl, overlay, remove, remove_network, request, servers, sleeper};
use swarmrs_compat_tests::{Host, Testbed};

use crate::day::Day;
use crate::hosts::{HOSTS, MANAGERS, distinct, nodes, others, places, shared, until};

fn written(host: &Host, name: &str) -> bool {
    let body = serde_json::json!({"Name": name, "Data": "eA=="});
    let answer = host.api("POST", "/configs/create", Some(&body));
    answer.is_ok_and(|answer| answer.status == 201)
}

#[test]
fn a_worker_that_is_cut_off_is_replaced_and_comes_back() {
    const LAST: usize = HOSTS - 1;
    let testbed = shared();
    let manager = testbed.host(0);
    let mut day = Day::begin(&testbed);
    let service = sleepers(manager, HOSTS, &[]);
    testbed.cut_off(LAST).unwrap();
    let cut = Instant::now();
    until("four hosts with all tasks", || {
        let places = places(manager, &service);
        match places.len() == HOSTS && !distinct(&places).contains("electra") {
            true => Ok(()),
            false => Err(format!("{places:?}")),
        }
    });
    println!("a worker cut off: replaced after {:?}", cut.elapsed());
    let shown = nodes(manager).unwrap();
    let down = "electra Down Active".to_owned();
    assert!(shown.contains(&down), "{shown:#?}");
    // It goes on with what it has for as long as it hears nothing.
    std::thread::sleep(Duration::from_secs(30).saturating_sub(cut.elapsed()));
    day.kept(&testbed, LAST);
    testbed.reconnect(LAST).unwrap();
    day.was_away(&testbed, LAST, cut);
    until("no container that was replaced", || {
        let left = task_containers(testbed.host(LAST), &service).unwrap();
        match left.iter().any(|container| container.running) {
            true => Err(format!("{left:?}")),
            false => Ok(()),
        }
    });
    assert_eq!(places(manager, &service).len(), HOSTS);
    manager.docker_ok(&["service", "rm", &service]);
    wait_until_gone(testbed.host(LAST), &service).unwrap();
    day.end("a worker cut off", &testbed);
}

#[test]
fn all_managers_at_once_are_killed_and_everything_is_as_it_was() {
    let mut testbed = shared();
    let day = Day::begin(&testbed);
    day.writes(50);
    for manager in 0..MANAGERS {
        testbed.host_mut(manager).kill_daemon();
    }
    for at in 0..HOSTS {
        day.kept(&testbed, at);
    }
    for manager in 0..MANAGERS {
        testbed.host_mut(manager).launch_daemon().unwrap();
    }
    day.writes(20);
    day.end("all managers killed", &testbed);
}

/// What a manager tells an operator that hears no others: it lives, and is of no use.
fn shows_the_loss(alone: &Host) {
    for (aspect, status) in [("live", 200), ("ready", 503), ("quorum", 503)] {
        let target = format!("/swarmrs/v1/read/health?for={aspect}");
        let answer = alone.api("GET", &target, None).unwrap();
        assert_eq!(answer.status, status, "{aspect}: {}", answer.text());
        assert_eq!(answer.json().unwrap()["Quorum"], false);
    }
    let metrics = alone.api("GET", "/swarmrs/v1/read/metrics", None).unwrap();
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.text().contains("\nswarmrs_raft_has_leader 0\n"),
        "{}",
        metrics.text()
    );
    let page = with_plugin(alone, &["swarmrs", "status"]).unwrap();
    assert_eq!(page.status, 1, "{page:?}");
    assert!(page.stdout.contains("Quorum:    NO"), "{page:?}");
}

/// A published service on a network, and somebody on a worker who asks it by its name.
struct Site {
    network: String,
    web: String,
    asker: String,
}

impl Site {
    const ASKER: usize = HOSTS - 1;

    fn open(testbed: &Testbed) -> Self {
        let network = overlay(testbed.host(0), &[]);
        let flags = ["--network", &network, "--publish", "8082:80"];
        Self {
            web: servers(testbed.host(0), HOSTS, &flags),
            asker: sleeper(testbed.host(Self::ASKER), &network, &[]),
            network,
        }
    }

    /// Asked once each: nothing comes back late.
    #[track_caller]
    fn serves(&self, testbed: &Testbed) {
        for at in 0..HOSTS {
            let url = format!("http://{}:8082/", testbed.host(at).address());
            curl(testbed.host(0), &url).unwrap();
        }
        let ask = ["exec", &self.asker, "sh", "-c", &request(&self.web)];
        let answer = testbed.host(Self::ASKER).engine_docker(&ask).unwrap();
        assert!(!answer.success().unwrap().trim().is_empty(), "{answer:?}");
    }

    fn close(self, testbed: &Testbed) {
        let forced = ["rm", "--force", &self.asker];
        testbed.host(Self::ASKER).docker_ok(&forced);
        remove(testbed.host(0), &self.web);
        remove_network(testbed.host(0), &self.network);
    }
}

#[test]
fn without_a_majority_nothing_is_acknowledged_and_containers_serve_on() {
    let mut testbed = shared();
    let day = Day::begin(&testbed);
    let site = Site::open(&testbed);
    let left = 0;
    for manager in others(left) {
        testbed.host_mut(manager).kill_daemon();
    }
    let alone = testbed.host(left);
    let asked = Instant::now();
    let refused = alone.docker(&["config", "ls"]).unwrap();
    assert_ne!(refused.status, 0, "{refused:?}");
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert!(!written(alone, &unique("nobody-agrees")));
    let refused = until("Docker's words", || {
        let refused = alone.docker(&["node", "ls"]).unwrap();
        match refused.stderr.contains("The swarm does not have a leader") {
            true => Ok(refused),
            false => Err(format!("{refused:?}")),
        }
    });
    assert_ne!(refused.status, 0);
    shows_the_loss(alone);
    for at in 0..HOSTS {
        day.kept(&testbed, at);
    }
    site.serves(&testbed);
    for manager in others(left) {
        testbed.host_mut(manager).launch_daemon().unwrap();
    }
    day.writes(20);
    site.serves(&testbed);
    site.close(&testbed);
    day.end("majority lost", &testbed);
}
