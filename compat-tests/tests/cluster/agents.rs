//! What a worker's daemon that is killed, a machine that is gone, and a node without managers do to containers.

use std::time::{Duration, Instant};

use swarmrs_compat_tests::swarm::{running, sleepers};
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::hosts::{HOSTS, distinct, joined, nodes, places, until, until_nodes, whole};

/// How long a daemon may be away without anybody noticing.
const AWAY: Duration = Duration::from_secs(3);
/// Longer than any node may be silent.
const SETTLED: Duration = Duration::from_secs(10);

/// Every task of the service that there is or was.
fn tasks(host: &Host, service: &str) -> usize {
    let shown = host.docker_ok(&["service", "ps", "--quiet", service]);
    shown.lines().count()
}

#[test]
fn a_daemon_that_is_killed_and_back_soon_loses_no_container_and_a_machine_that_is_gone_all() {
    let mut testbed = joined(&Options::default());
    let service = sleepers(testbed.host(0), HOSTS, &[]);
    let kept = running(testbed.host(4), &service);
    assert_eq!(kept.len(), 1);

    testbed.host_mut(4).kill_daemon();
    let killed = Instant::now();
    std::thread::sleep(AWAY);
    testbed.host_mut(4).launch_daemon().unwrap();
    while killed.elapsed() < SETTLED {
        let shown = nodes(testbed.host(0)).unwrap();
        assert!(
            shown.contains(&"electra Ready Active".to_owned()),
            "after {:?}: {shown:#?}",
            killed.elapsed()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(running(testbed.host(4), &service), kept);
    assert_eq!(tasks(testbed.host(1), &service), HOSTS, "one was replaced");

    // All of it: both daemons, the engine, and what it runs.
    let gone = end_machine(&mut testbed, 4);
    let took = until("a replacement", || {
        let places = places(testbed.host(0), &service);
        match places.len() == HOSTS && !distinct(&places).contains("electra") {
            true => Ok(gone.elapsed()),
            false => Err(format!("{places:?}")),
        }
    });
    // By the broken connection: 3 s on a machine that is not held up.
    println!("a worker that is gone: replaced after {took:?}");
}

/// Nothing of the host's own runs any more.
fn end_machine(testbed: &mut Testbed, at: usize) -> Instant {
    let containers = testbed.host(at).engine_docker(&["ps", "--quiet"]).unwrap();
    let ids: Vec<&str> = containers.stdout.split_whitespace().collect();
    let end = [&["kill"], &ids[..]].concat();
    testbed.host_mut(at).kill_daemons();
    let gone = Instant::now();
    let ended = testbed.host(at).engine_docker(&end).unwrap();
    assert_eq!(ended.status, 0, "{ended:?}");
    testbed.host_mut(at).kill_engine();
    gone
}

#[test]
fn a_node_without_managers_stops_what_is_never_to_run_twice_before_others_take_its_place() {
    let testbed = joined(&Options::default());
    let manager = testbed.host(0);
    let flags = |word| {
        vec![
            "--label".to_owned(),
            format!("swarmrs.disconnect={word}"),
            "--stop-grace-period".to_owned(),
            "1s".to_owned(),
            "--constraint".to_owned(),
            "node.role==worker".to_owned(),
        ]
    };
    let service = |word| {
        let flags = flags(word);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        sleepers(manager, 2, &flags)
    };
    let (stop, hold, replace) = (service("stop"), service("hold"), service("replace"));
    let worker = testbed.host(4);
    assert_eq!(running(worker, &stop).len(), 1);
    testbed.cut_off(4).unwrap();
    let cut = Instant::now();
    until("a replacement of one that may run twice", || {
        match places(manager, &replace) == ["daphne", "daphne"] {
            true => Ok(()),
            false => Err(format!("{:?}", places(manager, &replace))),
        }
    });
    assert_eq!(running(worker, &replace).len(), 1, "it runs on meanwhile");
    let stopped = until("the end of one that may not", || {
        match running(worker, &stop).is_empty() {
            true => Ok(cut.elapsed()),
            false => Err("it runs".to_owned()),
        }
    });
    assert_eq!(places(manager, &stop), ["daphne"], "not replaced before");
    until("its replacement", || {
        match places(manager, &stop) == ["daphne", "daphne"] {
            true => Ok(()),
            false => Err(format!("{:?}", places(manager, &stop))),
        }
    });
    println!(
        "stopped by itself {stopped:?} after the cut, replaced after {:?}",
        cut.elapsed()
    );
    assert_eq!(running(worker, &hold).len(), 1);
    testbed.reconnect(4).unwrap();
    until_nodes(manager, &whole());
    assert_eq!(places(manager, &hold), ["daphne", "electra"]);
    until("nothing that was replaced", || {
        match running(worker, &replace).len() + running(worker, &stop).len() {
            0 => Ok(()),
            some => Err(format!("{some} run")),
        }
    });
}
