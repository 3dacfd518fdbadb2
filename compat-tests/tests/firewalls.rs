//! Networks beside the firewalls of administrators, ufw and firewalld: what is published answers, what is not does not, containers
//! reach the outside, and after a reload all of it is so again.
//!
//! Slow to prepare (a Debian with both in a root folder): `contrib/test.sh --only firewalls` or `--all` runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::testbed::Release;
use swarmrs_compat_tests::web::{addresses, curl, overlay, remove, remove_network, servers};
use swarmrs_compat_tests::{Host, Options, Testbed, command, wait};

const SOON: Duration = Duration::from_secs(30);
/// Longer than the time between two looks of the holder after what others set.
const LOOKED_AFTER: Duration = Duration::from_secs(12);

/// A machine with a service of two on 18080, and a process of its own on 18060 that nobody published.
struct Town {
    testbed: Testbed,
    network: String,
    service: String,
}

impl Town {
    fn build() -> Self {
        let testbed = Testbed::hosts(1, &Options::engine(Release::Walled)).unwrap();
        let host = testbed.host(0);
        host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
        let network = overlay(host, &[]);
        let flags = ["--publish", "18080:80", "--network", &network];
        let service = servers(host, 2, &flags);
        on(host, &["busybox", "httpd", "-p", "18060", "-h", "/tmp"]);
        let town = Self {
            testbed,
            network,
            service,
        };
        town.published_answers("without a firewall");
        assert!(town.answers_outside(18060), "reachable without a firewall");
        town
    }

    fn host(&self) -> &Host {
        self.testbed.host(0)
    }

    /// Whether anything answers a client outside.
    fn answers_outside(&self, port: u16) -> bool {
        let url = format!("http://{}:{port}/", self.host().address());
        let mut outside = self.testbed.outside_command();
        outside.args(["curl", "--silent", "--max-time", "3", &url]);
        command::run(&mut outside, b"", SOON).unwrap().status == 0
    }

    /// What users see of the swarm is whole.
    fn published_answers(&self, when: &str) {
        assert!(self.answers_outside(18080), "from outside, {when}");
        curl(self.host(), "http://127.0.0.1:18080/").unwrap();
        let name = addresses(self.host(), &self.network, &self.service);
        assert_eq!(name.len(), 1, "{when}");
    }

    /// A container of the service reaches the outside.
    fn way_out(&self) -> Result<(), String> {
        let tasks = task_containers(self.host(), &self.service).unwrap();
        let task = tasks.iter().find(|task| task.running).ok_or("no task")?;
        let ping = ["ping", "-c", "1", "-W", "2", "10.77.0.254"];
        let exec = [&["exec", &task.container][..], &ping].concat();
        let output = self.host().docker(&exec).unwrap();
        match output.status {
            0 => Ok(()),
            _ => Err(output.stdout),
        }
    }

    fn whole(&self, when: &str) {
        self.published_answers(when);
        self.way_out().unwrap();
        assert!(!self.answers_outside(18060), "the firewall is up, {when}");
    }

    /// A reload of firewalld takes the engine's rules along, and ours among them: the engine puts back its own at once, and the
    /// holder ours when it looks the next time.
    fn comes_back(&self, when: &str) {
        let back = || match (self.answers_outside(18080), self.way_out()) {
            (true, Ok(())) => Ok(()),
            seen => Err(format!("{seen:?}")),
        };
        wait::until(when, SOON, back).unwrap();
        self.whole(when);
    }

    fn leave(self) {
        remove(self.host(), &self.service);
        remove_network(self.host(), &self.network);
        self.host().docker_ok(&["swarm", "leave", "--force"]);
    }
}

/// Runs a program beside the engine.
#[track_caller]
fn on(host: &Host, program: &[&str]) -> String {
    let output = host.beside_engine(program).unwrap();
    output.success().unwrap().to_owned()
}

#[test]
fn ufw_stands_beside_networks_and_is_reloaded() {
    let town = Town::build();
    on(town.host(), &["ufw", "--force", "enable"]);
    town.whole("with ufw");
    on(town.host(), &["ufw", "reload"]);
    town.whole("after ufw was reloaded");
    std::thread::sleep(LOOKED_AFTER);
    town.whole("once all was looked after");
    town.leave();
}

#[test]
fn firewalld_stands_beside_networks_and_is_reloaded() {
    let mut town = Town::build();
    let start = "mkdir -p /run/dbus && dbus-daemon --system --fork && firewalld && \
                 until firewall-cmd --state >/dev/null 2>&1; do sleep 0.2; done";
    on(town.host(), &["sh", "-c", start]);
    // The engine learns of firewalld at its own start.
    town.testbed.host_mut(0).stop_engine().unwrap();
    town.testbed.host_mut(0).start_engine().unwrap();
    wait_for_replicas(town.host(), &town.service, "2/2").unwrap();
    town.comes_back("with firewalld");
    on(town.host(), &["firewall-cmd", "--reload"]);
    town.comes_back("after firewalld was reloaded");
    on(town.host(), &["firewall-cmd", "--complete-reload"]);
    town.comes_back("after firewalld was reloaded with all it remembers");

    let zones = "firewall-cmd --list-all-zones; firewall-cmd --permanent --list-all-zones";
    let members = |host: &Host| {
        let zones = on(host, &["sh", "-c", zones]);
        let ours = zones.lines().filter(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("interfaces:") && words.any(|word| word.starts_with("sw"))
        });
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(members(town.host()).len(), 2, "for now and for good");
    let host = town.host();
    remove(host, &town.service);
    remove_network(host, &town.network);
    host.docker_ok(&["swarm", "leave", "--force"]);
    wait::until("zones without our links", SOON, || match members(host) {
        left if left.is_empty() => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .unwrap();
}
