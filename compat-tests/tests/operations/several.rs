//! Pages for a swarm of several nodes, run on hosts of a testbed.

use std::collections::BTreeSet;

use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::{Host, Options, Testbed, command, swarm, wait};

use crate::{SOON, commands, section};

/// Follows a section of a page on a host of a testbed. It has no systemd: what the page starts and stops is the test's to do.
#[track_caller]
fn follow_on(host: &Host, page: &str, from: &str, environment: &[(&str, &str)]) -> String {
    let (socket, data) = (host.socket(), host.daemon().data_root());
    let script = commands(&section(page, from))
        .replace("/run/swarmrs/docker.sock", &socket.display().to_string())
        .replace("/var/lib/swarmrs", &data.display().to_string());
    let script = format!("systemctl() {{ :; }}\n{script}");
    let mut inside = host.inside_command();
    inside.args(["bash", "-ec", &script]);
    inside.envs(environment.iter().copied());
    let output = command::run(&mut inside, b"", SOON).unwrap();
    assert_eq!(output.status, 0, "{script}: {output:?}");
    output.stdout
}

/// What is the same after a swarm went on with one manager: ids, tokens, authority, secrets.
fn identity(host: &Host) -> Vec<String> {
    let get = |path| host.api("GET", path, None).unwrap().json().unwrap();
    let (swarm, services, secrets) = (get("/swarm"), get("/services"), get("/secrets"));
    let parts = [
        &swarm["ID"],
        &swarm["JoinTokens"],
        &swarm["TLSInfo"],
        &services[0]["ID"],
        &secrets[0]["ID"],
    ];
    parts.map(ToString::to_string).to_vec()
}

/// The containers of a service on these hosts that run, with when they started.
fn running(hosts: &[&Host], service: &str) -> BTreeSet<(String, String)> {
    let on = hosts.iter().map(|host| swarm::running(host, service));
    on.flatten().collect()
}

/// Takes atlas and boreas from the swarm as a fire would: nothing of them answers.
fn lose(testbed: &mut Testbed) {
    for at in 0..2 {
        testbed.host_mut(at).kill_daemon();
        testbed.cut_off(at).unwrap();
    }
    wait::until("Docker's words", SOON, || {
        let refused = testbed
            .host(2)
            .docker(&["node", "ls"])
            .map_err(|error| error.to_string())?;
        match refused.stderr.contains("The swarm does not have a leader") {
            true => Ok(()),
            false => Err(format!("{refused:?}")),
        }
    })
    .unwrap();
}

fn bring_back(testbed: &mut Testbed, at: usize) {
    testbed.reconnect(at).unwrap();
    testbed.host_mut(at).start_daemon().unwrap();
}

const ALONE: &str = "\n## Go on with one manager";

#[test]
fn lost_quorum() {
    let mut testbed = Testbed::hosts(4, &Options::default()).unwrap();
    let first = testbed.host(0);
    swarm::form(&testbed, 3, 1);
    first
        .docker_fed(&["secret", "create", "word", "-"], b"x")
        .unwrap();
    let service = swarm::sleepers(first, 4, &[]);
    let before = identity(first);
    lose(&mut testbed);
    let left = [testbed.host(2), testbed.host(3)];
    let kept = running(&left, &service);
    assert_eq!(kept.len(), 2);
    follow_on(testbed.host(2), "lost-quorum.md", ALONE, &[]);
    assert_eq!(identity(testbed.host(2)), before);
    swarm::until_nodes(
        testbed.host(2),
        &[
            "atlas Down Active",
            "boreas Down Active",
            "castor Ready Active Leader",
            "daphne Ready Active",
        ],
    );
    // `service ls` counts what lost nodes said last, too.
    wait::until(
        "four tasks on those that are left",
        SOON,
        || match running(&left, &service).len() {
            4 => Ok(()),
            other => Err(other.to_string()),
        },
    )
    .unwrap();
    assert!(
        running(&left, &service).is_superset(&kept),
        "no container was restarted"
    );

    // One comes back before anybody took it off the list: its old log is refused, and it begins anew.
    bring_back(&mut testbed, 1);
    swarm::until_nodes(
        testbed.host(2),
        &[
            "atlas Down Active",
            "boreas Ready Active Reachable",
            "castor Ready Active Leader",
            "daphne Ready Active",
        ],
    );
    lose(&mut testbed);
    follow_on(testbed.host(2), "lost-quorum.md", ALONE, &[]);
    follow_on(
        testbed.host(2),
        "lost-quorum.md",
        "\n## Take the lost ones off the list",
        &[],
    );
    swarm::until_nodes(
        testbed.host(2),
        &["castor Ready Active Leader", "daphne Ready Active"],
    );
    let token = swarm::token(testbed.host(2), "manager");
    let survivor = testbed.host(2).address().to_owned();
    for at in 0..2 {
        bring_back(&mut testbed, at);
        let told = [("TOKEN", token.as_str()), ("SURVIVOR", survivor.as_str())];
        follow_on(
            testbed.host(at),
            "lost-quorum.md",
            "\n## Have managers again",
            &told,
        );
    }
    swarm::until_nodes(
        testbed.host(1),
        &[
            "atlas Ready Active Reachable",
            "boreas Ready Active Reachable",
            "castor Ready Active Leader",
            "daphne Ready Active",
        ],
    );
    assert_eq!(identity(testbed.host(0)), before);
    let left = [testbed.host(2), testbed.host(3)];
    assert!(
        running(&left, &service).is_superset(&kept),
        "no container was restarted"
    );
}

#[test]
fn restored_on_a_machine_with_another_address() {
    let mut testbed = Testbed::hosts(3, &Options::default()).unwrap();
    let first = testbed.host(0);
    swarm::form(&testbed, 1, 1);
    let constraint = ["--constraint", "node.hostname==boreas"];
    let service = swarm::sleepers(first, 2, &constraint);
    first
        .docker_fed(&["secret", "create", "word", "-"], b"x")
        .unwrap();
    let before = identity(first);
    let kept = running(&[testbed.host(1)], &service);
    for at in [0, 2] {
        testbed.host_mut(at).stop_daemon().unwrap();
    }
    testbed.cut_off(0).unwrap();
    let [from, to] = [0, 2].map(|at| testbed.host(at).daemon().data_root());
    std::fs::remove_dir_all(&to).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&from, &to])
        .status();
    assert!(copied.unwrap().success());
    testbed.host_mut(2).start_daemon().unwrap();

    let address = testbed.host(2).address().to_owned();
    let told = [("ADDRESS", address.as_str())];
    follow_on(
        testbed.host(2),
        "backup.md",
        "\n## On a machine with another address",
        &told,
    );
    assert_eq!(identity(testbed.host(2)), before);
    testbed.host_mut(1).stop_daemon().unwrap();
    follow_on(
        testbed.host(1),
        "backup.md",
        "\n## Tell workers where it is",
        &told,
    );
    testbed.host_mut(1).start_daemon().unwrap();
    swarm::until_nodes(
        testbed.host(2),
        &["boreas Ready Active", "castor Ready Active Leader"],
    );
    wait_for_replicas(testbed.host(2), &service, "2/2").unwrap();
    assert_eq!(running(&[testbed.host(1)], &service), kept);
}
