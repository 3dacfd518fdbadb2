//! Who is in the swarm, and where services run.

use std::collections::BTreeSet;

use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::{CREATE, join, running, sleepers};
use swarmrs_compat_tests::testbed::{IMAGE, Process};
use swarmrs_compat_tests::{Host, Testbed};

use crate::day::log;
use crate::hosts::{
    HOSTS, SOON, distinct, lead, leader, nodes, others, places, shared, token, until, until_led,
    until_well,
};
use crate::strangers::descriptors;

#[test]
fn every_manager_shows_the_same_swarm_and_services_run_on_all_hosts() {
    let testbed = shared();
    let spread = sleepers(testbed.host(1), HOSTS, &[]);
    assert_eq!(distinct(&places(testbed.host(2), &spread)).len(), HOSTS);
    let pinned = sleepers(
        testbed.host(2),
        2,
        &["--constraint", "node.hostname==electra"],
    );
    assert_eq!(places(testbed.host(0), &pinned), ["electra", "electra"]);
    let workers = sleepers(testbed.host(0), 2, &["--constraint", "node.role==worker"]);
    assert_eq!(places(testbed.host(1), &workers), ["daphne", "electra"]);

    say_where_they_are(testbed.host(0));
    for manager in 0..3 {
        let host = testbed.host(manager);
        until("the lines of all hosts, at any manager", || {
            let told = host.docker_ok(&["service", "logs", "--raw", "talkers"]);
            let places: BTreeSet<&str> = told.lines().collect();
            match places.len() == HOSTS {
                true => Ok(()),
                false => Err(format!("{places:?}")),
            }
        });
    }

    follow_logs(&testbed, &workers);
    availabilities(&testbed, &spread);
    for service in [&spread, &pinned, &workers, "talkers"] {
        testbed.host(2).docker_ok(&["service", "rm", service]);
        for at in 0..HOSTS {
            wait_until_gone(testbed.host(at), service).unwrap();
        }
    }
}

/// How many follow at once: what one leaves behind is found among connections that come and go.
const FOLLOWERS: usize = 5;

/// What the service's tasks on two hosts write is shown as they write it, by a manager that does not lead.
fn follow_logs(testbed: &Testbed, service: &str) {
    let asked = testbed.host(others(leader(testbed, 0).unwrap())[0]);
    let all = [asked, testbed.host(3), testbed.host(4)];
    let open = || all.map(|host| descriptors(host.daemon().pid().unwrap()));
    let before = open();
    let shown = |number: usize| asked.files().join(format!("followed-{number}"));
    let follow = |number| {
        let mut follow = asked.docker_command();
        follow.args(["service", "logs", "--follow", "--raw", service]);
        Process::start(&mut follow, &shown(number)).unwrap()
    };
    let followers: Vec<Process> = (0..FOLLOWERS).map(follow).collect();
    let mut written = String::new();
    for number in 0..3 {
        for host in &all[1..] {
            let line = format!("{} {number}", host.name());
            write(host, service, &line);
            written = format!("{written}{line}\n");
            until("the line, to all", || {
                let now = (0..FOLLOWERS).map(|number| std::fs::read_to_string(shown(number)));
                let now: Vec<String> = now.collect::<Result<_, _>>().unwrap();
                match now.iter().all(|now| *now == written) {
                    true => Ok(()),
                    false => Err(format!("{now:?}")),
                }
            });
        }
    }
    for mut follower in followers {
        follower.stop(SOON).unwrap();
    }
    until("nothing that is left of them", || {
        let now = open();
        let mut pairs = now.iter().zip(&before);
        match pairs.all(|(now, before)| *now < before + FOLLOWERS) {
            true => Ok(()),
            false => Err(format!("{before:?}, then {now:?}")),
        }
    });
}

/// Has the service's task on the host write a line.
fn write(host: &Host, service: &str, line: &str) {
    let (container, _) = running(host, service).pop_first().unwrap();
    let line = format!("echo {line} >/proc/1/fd/1");
    let wrote = host.engine_docker(&["exec", &container, "sh", "-c", &line]);
    wrote.unwrap().success().unwrap();
}

/// A service with a task on each host goes through all that a node may be available for.
fn availabilities(testbed: &Testbed, spread: &str) {
    let manager = testbed.host(0);
    let on_electra = || running(testbed.host(HOSTS - 1), spread);
    let scale = |count: usize| {
        let scaled = format!("{spread}={count}");
        manager.docker_ok(&["service", "scale", "--detach", &scaled]);
        let replicas = format!("{count}/{count}");
        wait_for_replicas(manager, spread, &replicas).unwrap();
    };
    let set = |availability| {
        let update = ["node", "update", "--availability", availability, "electra"];
        testbed.host(1).docker_ok(&update);
    };
    let before = on_electra();
    assert_eq!(before.len(), 1);
    set("pause");
    scale(2 * HOSTS);
    assert_eq!(on_electra(), before, "one that was there, none that is new");
    set("drain");
    until("electra without containers", || match on_electra() {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    });
    wait_for_replicas(manager, spread, "10/10").unwrap();
    let elsewhere = places(manager, spread);
    assert!(!elsewhere.contains(&"electra".to_owned()), "{elsewhere:?}");
    let others = || (0..HOSTS - 1).map(|at| running(testbed.host(at), spread));
    let before: Vec<_> = others().collect();
    set("active");
    scale(2 * HOSTS + 1);
    assert_eq!(on_electra().len(), 1, "the one that is new");
    assert!(others().eq(before), "another was moved");
}

/// A task on each host that tells the host's name.
fn say_where_they_are(manager: &Host) {
    let flags = ["--name", "talkers", "--mode", "global"];
    let named = ["--hostname", "{{.Node.Hostname}}"];
    let command = [IMAGE, "sh", "-c", "hostname; exec sleep 600"];
    manager.docker_ok(&[&CREATE[..], &flags, &named, &command].concat());
}

const WRONG_TOKEN: &str = "Error response from daemon: rpc error: code = InvalidArgument desc = \
                           A valid join token is necessary to join this cluster";

#[test]
fn whoever_leaves_may_come_again_as_another() {
    let mut testbed = shared();
    lead(&mut testbed, 0);
    // Tokens by which all came become void, and those who came go on.
    const ROLES: [&str; 2] = ["manager", "worker"];
    let void = ROLES.map(|role| token(testbed.host(0), role));
    for role in ROLES {
        let rotate = ["swarm", "join-token", "--rotate", "--quiet", role];
        let new = testbed.host(1).docker_ok(&rotate);
        assert!(!void.contains(&new));
    }
    testbed.host_mut(3).kill_daemon();
    testbed.host_mut(3).start_daemon().unwrap();
    until_well(&testbed);
    let (manager, castor) = (testbed.host(0), testbed.host(2));
    let logged = log(manager).len();
    // A manager: it is out of the quorum at once.
    leave(manager, castor);
    for token in &void {
        let refused = castor.docker(&["swarm", "join", "--token", token, manager.address()]);
        let refused = refused.unwrap();
        assert_eq!((refused.status, refused.stderr.trim()), (1, WRONG_TOKEN));
    }
    for (role, flags, listed) in [
        (
            "worker",
            "--availability drain --data-path-addr eth0",
            "castor Ready Drain",
        ),
        (
            "manager",
            "--availability pause --listen-addr eth0:2399 --advertise-addr eth0:2399",
            "castor Ready Pause Reachable",
        ),
    ] {
        let token = token(manager, role);
        let flags: Vec<&str> = flags.split(' ').collect();
        let join = ["swarm", "join", "--token", &token, manager.address()];
        castor.docker_ok(&[&join[..2], &flags, &join[2..]].concat());
        until("castor as it came", || {
            let shown = nodes(manager)?;
            match shown.iter().any(|line| line == listed) {
                true => Ok(()),
                false => Err(format!("{shown:#?}")),
            }
        });
        if role == "manager" {
            let at = ["node", "inspect", "--format", "{{.ManagerStatus.Addr}}"];
            let shown = testbed.host(1).docker_ok(&[&at[..], &["castor"]].concat());
            assert_eq!(shown, "10.77.0.3:2399");
        }
        leave(manager, castor);
    }
    join(manager, castor, "manager");
    until_well(&testbed);
    let came = ["refused", "refused", "worker", "manager", "manager"];
    assert_eq!(comings(&log(manager)[logged..], castor), came);
    // The leader itself.
    manager.docker_ok(&["swarm", "leave", "--force"]);
    let boreas = testbed.host(1);
    until_led(&testbed, 1, &[0]);
    let leaders = nodes(boreas).unwrap();
    assert!(
        leaders.iter().any(|line| line.starts_with("atlas Down")),
        "{leaders:#?}"
    );
    boreas.docker_ok(&["node", "rm", "--force", "atlas"]);
    assert_eq!(nodes(boreas).unwrap().len(), HOSTS - 1);
    join(boreas, testbed.host(0), "manager");
    until_well(&testbed);
}

/// Has the node leave, and be forgotten.
fn leave(manager: &Host, host: &Host) {
    host.docker_ok(&["swarm", "leave", "--force"]);
    let name = host.name();
    until("a node that has left", || {
        let shown = nodes(manager)?;
        let mut of = shown.iter().filter(|line| line.starts_with(name));
        match of.all(|line| line.starts_with(&format!("{name} Down"))) {
            true => Ok(()),
            false => Err(format!("{shown:#?}")),
        }
    });
    manager.docker_ok(&["node", "rm", name]);
}

/// As what somebody at the host's address came, as a manager's log says: `refused`, or in which role it joined.
fn comings(log: &str, host: &Host) -> Vec<&'static str> {
    let from = format!("addr={}:", host.address());
    let of = log.lines().filter(|line| line.contains(&from));
    of.filter_map(|line| match line {
        line if line.contains("a node was refused") => Some("refused"),
        line if !line.contains("node joined") => None,
        line if line.contains("role=\"manager\"") => Some("manager"),
        _ => Some("worker"),
    })
    .collect()
}
