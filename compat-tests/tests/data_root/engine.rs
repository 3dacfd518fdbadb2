//! The log on the other engine.

use swarmrs_compat_tests::testbed::tested_binary;
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::{files, known, something_of_everything, wait_for};

#[test]
fn a_log_on_sled_survives_a_kill_and_is_refused_by_name_for_the_other_engine() {
    let options = Options {
        flags: vec!["--raft-store=sled".to_owned()],
        ..Options::default()
    };
    let mut testbed = Testbed::hosts(1, &options).unwrap();
    something_of_everything(testbed.host(0));
    let raft = testbed.host(0).daemon().data_root().join("swarm/raft");
    assert!(raft.join("log.sled").exists() && !raft.join("log.redb").exists());
    let mut written = Vec::new();
    for round in 0..3 {
        for number in 0..10 {
            let name = format!("kept-{round}-{number}");
            let made = testbed
                .host(0)
                .docker_fed(&["config", "create", &name, "-"], b"x");
            made.unwrap().success().unwrap();
            written.push(name);
        }
        let expected = known(testbed.host(0)).unwrap();
        assert!(
            written
                .iter()
                .all(|name| expected.0.used.contains_key(&format!("config {name}")))
        );
        testbed.host_mut(0).kill_daemons();
        let before = files(&raft);
        let text = refused_on_redb(testbed.host(0));
        let named = format!(
            "{} was written with the log engine \"sled\", not \"redb\"",
            raft.display()
        );
        assert!(text.contains(&named), "{text}");
        assert_eq!(files(&raft), before);
        testbed.host_mut(0).start_daemon().unwrap();
        wait_for(testbed.host(0), &expected);
    }
}

/// What a daemon says that is to keep its log with redb in the host's data root.
fn refused_on_redb(host: &Host) -> String {
    let (program, root) = (tested_binary().unwrap(), host.daemon().data_root());
    let beside = |name: &str| host.files().join(name).display().to_string();
    let socket = format!("unix://{}", beside("other.sock"));
    let ended = host.inside(&[
        "timeout",
        "30",
        program.to_str().unwrap(),
        "--raft-store",
        "redb",
        "--data-root",
        root.to_str().unwrap(),
        "--exec-root",
        &beside("other"),
        "--pidfile",
        &beside("other.pid"),
        "--host",
        &socket,
    ]);
    let ended = ended.unwrap();
    assert_eq!(ended.status, 1, "{ended:?}");
    ended.stderr
}
