//! Connections to a task that is removed, over the virtual address and over the mesh, in each way a task is removed: they go
//! on while it drains, and are reset when that is over; none that is new leads there.

use std::process::Command;

use swarmrs_compat_tests::counts::{Count, Way, go_on, on_wire};
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::{overlay, remove_network, sleeper, virtual_address_on};
use swarmrs_compat_tests::{Host, Testbed, command, wait};

use super::SOON;
use super::load::{IN_CONTAINER, LOAD, mounts};

/// Each removes the one task of a service; the first two put another in its place.
const REMOVALS: [&str; 4] = [
    "service update --detach --update-order start-first --env-add RELEASE=two",
    "service update --detach --update-order stop-first --env-add RELEASE=three",
    "service update --detach --replicas 0",
    "service rm",
];
/// Published ports: of who says again what is told, and of who says its name.
const PORTS: [&str; 2] = ["18130:90", "18131:80"];

/// A service with one task, and somebody on its network.
struct Scene<'a> {
    testbed: &'a Testbed,
    network: String,
    service: String,
    virtual_ip: String,
    neighbour: String,
}

impl<'a> Scene<'a> {
    /// `flags` say how long the task drains, and how it ends.
    fn lay(testbed: &'a Testbed, flags: &[&str]) -> Self {
        let host = testbed.host(0);
        let (network, service) = (overlay(host, &[]), unique("drains"));
        let create = ["service", "create", "--detach", "--name", &service];
        let on = [
            "--network",
            &network,
            "--publish",
            PORTS[0],
            "--publish",
            PORTS[1],
        ];
        let mounts = mounts();
        let mounts: Vec<&str> = mounts.iter().map(String::as_str).collect();
        let line = format!("{IN_CONTAINER} serve 80 & exec {IN_CONTAINER} mirror 90");
        let run = [IMAGE, "sh", "-c", &line];
        host.docker_ok(&[&create[..], &on, flags, &mounts, &run].concat());
        wait_for_replicas(host, &service, "1/1").unwrap();
        let virtual_ip = virtual_address_on(host, &network, &service);
        let neighbour = sleeper(host, &network, &[]);
        Self {
            testbed,
            network,
            service,
            virtual_ip,
            neighbour,
        }
    }

    fn host(&self) -> &Host {
        self.testbed.host(0)
    }

    /// A connection over the virtual address and one over the mesh.
    fn counts(&self) -> [Count; 2] {
        let way = |address| Way {
            load: LOAD,
            protocol: "tcp",
            address,
            again: false,
        };
        let counts = [
            Count::of_container(
                self.host(),
                &self.neighbour,
                &way(format!("{}:90", self.virtual_ip)),
            ),
            Count::outside(
                self.testbed,
                &way(format!("{}:18130", self.host().address())),
            ),
        ];
        go_on("connections", &counts);
        counts
    }

    /// Who answers one connection more on each way, if anybody does.
    fn asked(&self) -> [String; 2] {
        let ask = |mut from: Command, address: String| {
            from.args([LOAD, "once", &address]);
            command::run(&mut from, b"", SOON).unwrap().stdout
        };
        let host = self.host();
        [
            ask(
                on_wire(host, &self.neighbour),
                format!("{}:80", self.virtual_ip),
            ),
            ask(
                self.testbed.outside_command(),
                format!("{}:18131", host.address()),
            ),
        ]
    }

    /// The container of the task that runs.
    fn task(&self) -> String {
        let tasks = task_containers(self.host(), &self.service).unwrap();
        let mut running = tasks.into_iter().filter(|task| task.running);
        running.next().unwrap().container
    }

    fn runs(&self, container: &str) -> bool {
        let inspect = ["inspect", "--format", "{{.State.Running}}", container];
        self.host().docker(&inspect).unwrap().stdout.trim() == "true"
    }

    /// Does it, and returns once no new connection leads to the task that was there.
    fn remove(&self, removal: &str, task: &str) {
        let words: Vec<&str> = removal.split(' ').collect();
        self.host()
            .docker_ok(&[&words[..], &[&self.service]].concat());
        let led = || match self.asked() {
            seen if seen.iter().any(|who| task.starts_with(name(who))) => Err(format!("{seen:?}")),
            _ => Ok(()),
        };
        wait::until("the end of new connections", SOON, led).unwrap();
        for _ in 0..10 {
            led().unwrap();
        }
    }

    /// Waits until nothing of the task is left, and the next one is there.
    fn settle(&self, removal: &str, task: &str) {
        let ended = || match self.runs(task) {
            true => Err(format!("{task} runs, {removal}")),
            false => Ok(()),
        };
        wait::until("the end of a task", SOON, ended).unwrap();
        match removal {
            "service rm" => return wait_until_gone(self.host(), &self.service).unwrap(),
            scaled if scaled.contains("--replicas") => {
                let scale = ["service", "scale", "--detach"];
                let one = format!("{}=1", self.service);
                self.host().docker_ok(&[&scale[..], &[&one]].concat());
            }
            _ => {}
        }
        wait_for_replicas(self.host(), &self.service, "1/1").unwrap();
    }

    fn clear(self) {
        self.host().docker_ok(&["rm", "--force", &self.neighbour]);
        remove_network(self.host(), &self.network);
    }
}

/// The host name in an answer; of none, one that no container has.
fn name(answer: &str) -> &str {
    answer
        .split(' ')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("-")
}

/// How long the host's namespaces remember connections to an address and a port without a packet, in seconds.
fn remembered(host: &Host, address: &str, port: u16) -> Vec<u64> {
    let list =
        format!("conntrack -L -p tcp --orig-dst {address} --dport {port} --state ESTABLISHED");
    let line = format!(
        "{list}; for at in $(awk '$3 == \"nsfs\" {{ print $2 }}' /proc/self/mounts); do nsenter --net=$at {list}; done"
    );
    let shown = host.inside(&["sh", "-c", &line]).unwrap().stdout;
    let seconds = shown.lines().map(|line| line.split_whitespace().nth(2));
    seconds
        .map(|seconds| seconds.unwrap().parse().unwrap())
        .collect()
}

#[test]
fn connections_go_on_while_their_task_drains() {
    let testbed = shared();
    // As long as anybody speaks.
    let flags = ["--label", "swarmrs.drain=10m", "--stop-signal", "KILL"];
    let scene = Scene::lay(&testbed, &flags);
    for removal in REMOVALS {
        let task = scene.task();
        let counts = scene.counts();
        for (address, port) in [
            (scene.virtual_ip.as_str(), 90),
            (scene.host().address(), 18130),
        ] {
            let seconds = remembered(scene.host(), address, port);
            // Not as short as IPVS keeps an idle one: 900 s.
            let days = |seconds: &u64| *seconds > 86_400;
            assert!(
                !seconds.is_empty() && seconds.iter().all(days),
                "{address}: {seconds:?}"
            );
        }
        scene.remove(removal, &task);
        go_on(removal, &counts);
        assert!(scene.runs(&task), "{removal}");
        drop(counts);
        scene.settle(removal, &task);
    }
    scene.clear();
}

#[test]
fn connections_that_outlast_the_draining_are_reset() {
    let testbed = shared();
    // It takes no notice of the signal.
    let flags = [
        "--label",
        "swarmrs.drain=200ms",
        "--stop-grace-period",
        "10m",
    ];
    let scene = Scene::lay(&testbed, &flags);
    for removal in REMOVALS {
        let task = scene.task();
        let mut counts = scene.counts();
        scene.remove(removal, &task);
        for count in &mut counts {
            let heard = count.ended();
            assert!(
                heard.contains("Connection reset by peer"),
                "{removal}: {heard}"
            );
        }
        assert!(scene.runs(&task), "{removal}");
        scene.host().docker_ok(&["kill", &task]);
        scene.settle(removal, &task);
    }
    scene.clear();
}
