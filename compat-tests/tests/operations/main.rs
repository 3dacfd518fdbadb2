//! The operator pages, run: every `sh` block of `docs/operations/` in its order, on a machine as the page supposes it. Of the
//! tour: back up, restore, begin anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod several;

use std::collections::BTreeSet;
use std::time::Duration;

use swarmrs_compat_tests::census::Census;
use swarmrs_compat_tests::testbed::{IMAGE, Machine, package, workspace};
use swarmrs_compat_tests::wait;

const SOON: Duration = Duration::from_secs(60);

/// A page's text from the heading `from` to the next one of that rank; all of it if `from` is empty.
fn section(page: &str, from: &str) -> String {
    let path = workspace().join("docs/operations").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let Some((_, rest)) = text.split_once(from) else {
        panic!("{page} has no {from}");
    };
    let end = (!from.is_empty()).then(|| rest.find("\n## ")).flatten();
    rest[..end.unwrap_or(rest.len())].to_owned()
}

/// What its `sh` blocks say, as one script.
fn commands(section: &str) -> String {
    let blocks = section.split("```sh\n").skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split_once("```").unwrap().0)
        .collect();
    assert!(!blocks.is_empty(), "no commands");
    blocks.concat()
}

/// Follows a page, or one section of it, in the folder that holds the package.
#[track_caller]
fn follow(machine: &Machine, page: &str, from: &str) -> String {
    machine.ok(&format!("cd /share\n{}", commands(&section(page, from))))
}

/// A machine on which the page for starting has been followed, up to the swarm.
fn started() -> Machine {
    let machine = Machine::with_engine().unwrap();
    package(&machine, "1.0").unwrap();
    machine.ok("echo '{\"live-restore\": true}' >/etc/docker/daemon.json; systemctl reload docker; dpkg --install /share/*.deb");
    machine
        .docker(&["swarm", "init", "--advertise-addr", "10.77.1.1"])
        .unwrap();
    machine
}

fn census(machine: &Machine) -> Result<Census, String> {
    Census::take(&|args| machine.docker(args)).map_err(|error| error.to_string())
}

fn containers(machine: &Machine) -> String {
    machine.ok(
        "docker ps --quiet | sort | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}}'",
    )
}

#[test]
fn start() {
    let machine = Machine::with_engine().unwrap();
    package(&machine, "1.0").unwrap();
    follow(&machine, "start.md", "");
    let state = machine
        .ok("docker --host unix:///var/run/docker.sock info --format '{{.Swarm.LocalNodeState}}'");
    assert_eq!(state, "active");
}

#[test]
fn upgrade() {
    let machine = started();
    machine.sleepers("web", &[]).unwrap();
    let before = containers(&machine);
    machine.ok("rm /share/*.deb");
    package(&machine, "2.0").unwrap();
    follow(&machine, "upgrade.md", "");
    assert_eq!(
        machine.ok("dpkg-query --show --showformat '${Version}' swarmrs"),
        "2.0"
    );
    assert_eq!(containers(&machine), before);
}

#[test]
fn back_up_and_restore() {
    let machine = started();
    machine.sleepers("web", &[]).unwrap();
    machine.ok("export DOCKER_HOST=unix:///run/swarmrs/docker.sock
         docker network create --driver overlay app
         printf h4sh | docker secret create hush -
         printf open | docker config create plain -");
    let uses = ["--network", "app", "--secret", "hush", "--config", "plain"];
    machine.sleepers("user", &uses).unwrap();
    let before = census(&machine).unwrap();
    let running = containers(&machine);
    follow(&machine, "backup.md", "\n## Back up");
    assert_eq!(containers(&machine), running);
    machine.docker(&["service", "rm", "web", "user"]).unwrap();
    machine.docker(&["secret", "rm", "hush"]).unwrap();
    machine.docker(&["config", "rm", "plain"]).unwrap();
    machine.sleepers("later", &[]).unwrap();
    restored(&machine, &before);
    machine.docker(&["swarm", "leave", "--force"]).unwrap();
    restored(&machine, &before);
}

/// Follows the page until the swarm is that of the backup.
#[track_caller]
fn restored(machine: &Machine, before: &Census) {
    follow(machine, "backup.md", "\n## Restore");
    wait::until("the swarm of the backup", SOON, || match census(machine)? {
        now if now == *before => Ok(()),
        now => Err(format!("{now:#?}")),
    })
    .unwrap();
    let task = "docker exec $(docker ps --quiet --filter label=com.docker.swarm.service.name=user | head -n 1)";
    assert_eq!(
        machine.ok(&format!("{task} cat /run/secrets/hush /plain")),
        "h4shopen"
    );
}

#[test]
fn back_to_stock() {
    let machine = started();
    machine.sleepers("web", &[]).unwrap();
    machine.ok(&format!(
        "swarmrs-takeover; docker run --detach --name own {IMAGE} sleep 600"
    ));
    assert_eq!(
        follow(&machine, "back-to-stock.md", "").lines().last(),
        Some("inactive")
    );
    assert_eq!(machine.ok("docker ps --all --format '{{.Names}}'"), "own");
    assert!(machine.ok("cat /root/services.json").contains("\"web\""));
    machine.ok("rm /etc/docker/daemon.json; systemctl restart docker");
    machine.ok("docker swarm init --advertise-addr 10.77.1.1; docker swarm leave --force");
    let left = machine.ok("ls -d /var/lib/swarmrs* /run/swarmrs* /etc/swarmrs* /etc/systemd/system/*/*swarmrs* 2>/dev/null || true");
    assert_eq!(left, "");
}

#[test]
fn disk_full() {
    let machine = started();
    let kept_back = "are kept back";
    assert!(section("disk-full.md", "").contains(kept_back));
    machine.docker(&["swarm", "leave", "--force"]).unwrap();
    machine.ok(
        "systemctl stop swarmrsd.socket swarmrsd; mount -t tmpfs -o size=200M tmpfs /var/lib/swarmrs
         systemctl start swarmrsd.socket swarmrsd",
    );
    machine
        .docker(&["swarm", "init", "--advertise-addr", "10.77.1.1"])
        .unwrap();
    machine.sleepers("web", &[]).unwrap();
    let before = containers(&machine);
    machine.ok("fallocate --length 150M /var/lib/swarmrs/ballast");
    let refused = machine
        .docker(&["service", "scale", "--detach", "web=3"])
        .unwrap_err();
    assert!(refused.to_string().contains(kept_back), "{refused}");
    follow(&machine, "disk-full.md", "\n## Look");
    follow(&machine, "disk-full.md", "\n## Make room");
    machine.ok("rm /var/lib/swarmrs/ballast");
    follow(&machine, "disk-full.md", "\n## Afterwards");
    assert_eq!(containers(&machine), before);
}

#[test]
fn from_afar_by_ssh() {
    let machine = started();
    machine.ok(
        "mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
         cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys
         ssh-keygen -A >/dev/null; mkdir -p /run/sshd
         /usr/sbin/sshd -p 2222 -o SetEnv=DOCKER_HOST=unix:///run/swarmrs/docker.sock
         /usr/sbin/sshd -p 2223
         until ssh-keyscan -p 2222 127.0.0.1 >/root/.ssh/known_hosts && ssh-keyscan -p 2223 127.0.0.1 >>/root/.ssh/known_hosts
         do sleep 0.1; done 2>/dev/null",
    );
    let swarm_at = |port| {
        let ask = format!(
            "docker --host ssh://root@127.0.0.1:{port} info --format '{{{{.Swarm.LocalNodeState}}}}'"
        );
        machine.ok(&ask)
    };
    assert_eq!(
        (swarm_at(2222).as_str(), swarm_at(2223).as_str()),
        ("active", "inactive")
    );
    machine.ok("swarmrs-takeover");
    assert_eq!(
        (swarm_at(2222).as_str(), swarm_at(2223).as_str()),
        ("active", "active")
    );
}

/// What brings each message of the page's table about, and undoes that again.
const PROVOKED: [(&str, &str, &str); 18] = [
    ("waiting for the engine", "timeout 5 swarmrsd $OTHER -H unix:///run/x.sock --engine unix:///run/nobody.sock", ""),
    (
        "is itself in swarm mode",
        "rm /etc/docker/daemon.json; systemctl restart docker
         docker swarm init --listen-addr 10.77.1.1:2388 --advertise-addr 10.77.1.1:2388
         timeout 5 swarmrsd $OTHER -H unix:///run/x.sock",
        "docker swarm leave --force",
    ),
    ("swarmrsd runs already", "timeout 5 swarmrsd -H unix:///run/x.sock", ""),
    ("is in use by another process", "timeout 5 swarmrsd --pidfile /run/x.pid -H unix:///run/x.sock", ""),
    ("somebody listens on", "timeout 5 swarmrsd $OTHER -H unix:///run/docker.sock", ""),
    ("no sockets found via socket activation", "timeout 5 swarmrsd $OTHER -H fd://", ""),
    (
        "cannot listen on",
        "systemctl stop swarmrsd.socket swarmrsd
         timeout 10 busybox nc -l -p 2377 &
         until ss -tln | grep -q :2377; do sleep 0.1; done
         timeout 5 swarmrsd -H unix:///run/x.sock; kill %1",
        "",
    ),
    ("there is no group", "timeout 5 swarmrsd $OTHER -H unix:///run/x.sock --group nobody-is-here", ""),
    (
        "don't match any configuration option",
        "mkdir /etc/swarmrs; echo '{\"debgu\": true}' >/etc/swarmrs/daemon.json; systemctl restart swarmrsd; sleep 2",
        "rm -r /etc/swarmrs",
    ),
    (
        "specified both as a flag and in the configuration file",
        "mkdir /etc/swarmrs; echo '{\"debug\": true}' >/etc/swarmrs/daemon.json; timeout 5 swarmrsd $OTHER -H unix:///run/x.sock --debug",
        "rm -r /etc/swarmrs",
    ),
    ("listening on TCP needs TLS", "timeout 5 swarmrsd $OTHER -H tcp://10.77.1.1:2375", ""),
    (
        "was written by a newer release",
        "systemctl stop swarmrsd.socket swarmrsd; cp /var/lib/swarmrs/swarm/start.json /root
         sed -i 's/\"format\": *[0-9]*/\"format\":99/' /var/lib/swarmrs/swarm/start.json; timeout 5 swarmrsd -H unix:///run/x.sock",
        "cp /root/start.json /var/lib/swarmrs/swarm/",
    ),
    (
        "is missing beside the state of a swarm",
        "systemctl stop swarmrsd.socket swarmrsd; mv /var/lib/swarmrs/swarm/start.json /root
         timeout 5 swarmrsd -H unix:///run/x.sock",
        "cp /root/start.json /var/lib/swarmrs/swarm/",
    ),
    (
        "is missing from a store that was in use",
        "systemctl stop swarmrsd.socket swarmrsd; mv /var/lib/swarmrs/swarm/raft /root
         timeout 5 swarmrsd -H unix:///run/x.sock",
        "rm -rf /var/lib/swarmrs/swarm/raft; mv /root/raft /var/lib/swarmrs/swarm/",
    ),
    (
        "was not written by swarmrs",
        "systemctl stop swarmrsd.socket swarmrsd; mv /var/lib/swarmrs/swarm/raft /root
         mkdir /var/lib/swarmrs/swarm/raft; echo hello >/var/lib/swarmrs/swarm/raft/log.redb
         timeout 5 swarmrsd -H unix:///run/x.sock",
        "rm -rf /var/lib/swarmrs/swarm/raft; mv /root/raft /var/lib/swarmrs/swarm/",
    ),
    (
        "was written with the log engine",
        "systemctl stop swarmrsd.socket swarmrsd; timeout 5 swarmrsd -H unix:///run/x.sock --raft-store sled",
        "",
    ),
    (
        "this release reads up to",
        "systemctl stop swarmrsd.socket swarmrsd; cp /var/lib/swarmrs/swarm/raft/format /root
         printf '\\377redb' >/var/lib/swarmrs/swarm/raft/format; timeout 5 swarmrsd -H unix:///run/x.sock",
        "cp /root/format /var/lib/swarmrs/swarm/raft/",
    ),
    (
        "is damaged",
        "systemctl stop swarmrsd.socket swarmrsd; cp /var/lib/swarmrs/swarm/start.json /root
         truncate --size 10 /var/lib/swarmrs/swarm/start.json; timeout 5 swarmrsd -H unix:///run/x.sock",
        "cp /root/start.json /var/lib/swarmrs/swarm/",
    ),
];

#[test]
fn will_not_start() {
    let machine = started();
    follow(&machine, "will-not-start.md", "");
    let page = section("will-not-start.md", "");
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let rows: BTreeSet<_> = rows.map(|(message, _)| message.to_owned()).collect();
    let provoked = PROVOKED.map(|(message, ..)| message.to_owned());
    assert_eq!(
        rows,
        BTreeSet::from(provoked),
        "each row is provoked, and each message has its row"
    );
    for (message, provoke, restore) in PROVOKED {
        let setting = "OTHER='--pidfile /run/x.pid --data-root /tmp/x/data --exec-root /tmp/x/exec'; rm -rf /tmp/x /run/x.*; since=$(date +%s)";
        let seen = machine.run(&[
            "bash",
            "-c",
            &format!(
                "{setting}\n({provoke}) 2>&1\njournalctl --unit swarmrsd --since @$since --no-pager"
            ),
        ]);
        let seen = seen.unwrap();
        assert!(
            seen.stdout.contains(message),
            "{message}: {}{}",
            seen.stdout,
            seen.stderr
        );
        // It is started more often than systemd would start anything within ten seconds.
        machine.ok(&format!(
            "{restore}\nsystemctl reset-failed swarmrsd.socket swarmrsd; systemctl start swarmrsd.socket swarmrsd"
        ));
        machine.wait_for_swarmrs().unwrap();
    }
}
