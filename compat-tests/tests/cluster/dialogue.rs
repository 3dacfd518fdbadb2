//! What is said of nodes, managers and tokens: the same words as the stock swarm's, step by step.

use std::fs;
use std::thread;

use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::transcript::mask;
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::hosts::{HOSTS, joined, token, until, until_printed};

/// A token as it was drawn for no swarm, and one that is none.
const FOREIGN: &str =
    "SWMTKN-1-0000000000000000000000000000000000000000000000000a-0000000000000000000000000";
const NO_TOKEN: &str = "SWMTKN-1-abc";

/// What one swarm says, one entry a command: the command, its exit code, its words.
struct Dialogue {
    testbed: Testbed,
    stock: bool,
    said: Vec<String>,
}

impl Dialogue {
    /// Once more if the node changed, as it does on its own after a demotion, between the command's reading and writing.
    fn say(&mut self, at: usize, args: &[&str]) {
        let host = self.testbed.host(at);
        let output = until("words", || match host.docker(args).unwrap() {
            output if output.stderr.contains("update out of sequence") => Err(output.stderr),
            output => Ok(output),
        });
        let line = format!("{}: docker {}", host.name(), args.join(" "));
        let told = mask::lines(&(output.stdout + &output.stderr)).join("\n");
        self.said
            .push(format!("{}\n{} {told}", mask::text(&line), output.status));
    }

    fn until(&mut self, at: usize, args: &[&str], expected: &str) {
        until_printed(self.testbed.host(at), args, expected);
    }

    fn host(&self, at: usize) -> &Host {
        self.testbed.host(at)
    }

    fn nodes(&mut self) {
        let format = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}";
        for manager in 0..3 {
            self.say(manager, &["node", "ls", "--format", format]);
        }
        let counts = "{{.Swarm.Nodes}} {{.Swarm.Managers}} {{.Swarm.ControlAvailable}}";
        for host in 0..HOSTS {
            self.say(host, &["info", "--format", counts]);
        }
        for worker in 3..HOSTS {
            self.say(worker, &["node", "ls"]);
            self.say(worker, &["service", "ls"]);
            self.say(worker, &["swarm", "join-token", "worker"]);
        }
    }

    fn promotion(&mut self) {
        const RANK: &str =
            "{{.Spec.Role}} {{if .ManagerStatus}}{{.ManagerStatus.Reachability}}{{end}}";
        let rank = ["node", "inspect", "--format", RANK, "daphne"];
        self.say(0, &["node", "promote", "daphne"]);
        self.until(0, &rank, "manager reachable");
        self.until(
            3,
            &["info", "--format", "{{.Swarm.ControlAvailable}}"],
            "true",
        );
        self.say(0, &["node", "promote", "daphne"]);
        self.say(1, &["node", "rm", "daphne"]);
        self.say(1, &["node", "rm", "--force", "daphne"]);
        self.say(2, &["node", "demote", "daphne"]);
        self.until(1, &rank, "worker");
        self.until(
            3,
            &["info", "--format", "{{.Swarm.ControlAvailable}}"],
            "false",
        );
        self.say(2, &["node", "demote", "daphne"]);
        self.say(1, &["node", "rm", "daphne"]);
    }

    fn updates(&mut self) {
        let inspect = "{{.Spec.Availability}} {{.Spec.Labels}} {{.Spec.Role}}";
        self.say(0, &["node", "update", "--availability", "asleep", "daphne"]);
        self.say(1, &["node", "update", "--availability", "drain", "daphne"]);
        // The stock swarm's managers show for a moment what was before.
        let shown = ["node", "inspect", "--format", inspect, "daphne"];
        self.until(2, &shown, "drain map[] worker");
        self.say(2, &["node", "update", "--label-add", "zone=a", "daphne"]);
        for manager in 0..2 {
            self.until(manager, &shown, "drain map[zone:a] worker");
        }
        self.say(0, &shown);
        self.say(
            1,
            &[
                "node",
                "update",
                "--label-rm",
                "zone",
                "--availability",
                "active",
                "daphne",
            ],
        );
        self.until(2, &shown, "active map[] worker");
        self.say(2, &shown);
        self.say(2, &["node", "inspect", "nobody"]);
        self.say(2, &["node", "update", "--role", "boss", "daphne"]);
    }

    /// Once the old tokens are void, and who left with them.
    fn tokens(&mut self) {
        let old = token(self.host(0), "worker");
        let to = format!("{}:2377", self.host(0).address());
        self.say(4, &["swarm", "join", "--token", &old, &to]);
        self.say(4, &["swarm", "leave"]);
        self.say(4, &["swarm", "leave"]);
        self.until(
            0,
            &[
                "node",
                "inspect",
                "--format",
                "{{.Status.State}}",
                "electra",
            ],
            "down",
        );
        self.say(0, &["node", "rm", "electra"]);
        self.say(0, &["node", "rm", "electra"]);
        self.host(1)
            .docker_ok(&["swarm", "join-token", "--rotate", "--quiet", "worker"]);
        for token in [NO_TOKEN, FOREIGN, &old, ""] {
            self.say(4, &["swarm", "join", "--token", token, &to]);
        }
        let new = token(self.host(2), "worker");
        self.say(
            4,
            &[
                "swarm",
                "join",
                "--availability",
                "asleep",
                "--token",
                &new,
                &to,
            ],
        );
        self.say(
            4,
            &[
                "swarm",
                "join",
                "--availability",
                "pause",
                "--token",
                &new,
                &to,
            ],
        );
        let seen = "{{.Status.State}} {{.Spec.Availability}} {{.Spec.Role}} {{.Status.Addr}}";
        self.until(
            1,
            &["node", "inspect", "--format", seen, "electra"],
            "ready pause worker 10.77.0.5",
        );
    }

    /// A manager is lost with all it had, and another comes in its place.
    fn loss(&mut self) {
        let pinned = ["--name", "pinned", "--constraint", "node.hostname==castor"];
        let command = [IMAGE, "sleep", "86400"];
        self.host(0)
            .docker_ok(&[&CREATE[..], &pinned, &command].concat());
        let replicas = ["service", "ls", "--format", "{{.Replicas}}"];
        self.until(0, &replicas, "1/1");
        let castor = self.testbed.host_mut(2);
        castor.kill_daemons();
        castor.kill_engine();
        let state = "{{.Status.State}} {{.ManagerStatus.Reachability}}";
        for manager in 0..2 {
            let inspect = ["node", "inspect", "--format", state, "castor"];
            self.until(manager, &inspect, "down unreachable");
            let replaced = ["node", "ps", "--format", "{{.DesiredState}}", "castor"];
            self.until(manager, &replaced, "Shutdown");
        }
        self.castor();
        // Each of those who are left is needed; the lost one is not.
        self.say(1, &["node", "rm", "castor"]);
        self.say(1, &["node", "rm", "--force", "castor"]);
        for name in ["atlas", "boreas"] {
            self.say(0, &["node", "demote", name]);
            self.say(1, &["node", "rm", "--force", name]);
        }
        for manager in 0..2 {
            self.say(manager, &["swarm", "leave"]);
        }
        self.say(0, &["node", "demote", "castor"]);
        let rank = "{{.Spec.Role}} {{if .ManagerStatus}}member{{end}}";
        let rank = ["node", "inspect", "--format", rank, "castor"];
        self.until(1, &rank, "worker");
        self.castor();
        self.say(1, &["node", "rm", "castor"]);
        self.castor();
        self.begin_castor();
        let token = token(self.host(1), "manager");
        let to = format!("{}:2377", self.host(1).address());
        self.say(2, &["swarm", "join", "--token", &token, &to]);
        for manager in 0..3 {
            let inspect = ["node", "inspect", "--format", state, "castor"];
            self.until(manager, &inspect, "ready reachable");
        }
        self.until(2, &replicas, "1/1");
        self.castor();
        self.host(0).docker_ok(&["service", "rm", "pinned"]);
    }

    /// What the managers that are left say of the third.
    fn castor(&mut self) {
        let shown = "{{.Hostname}} {{.Self}} {{.Status}} {{.ManagerStatus}}";
        let reached = "{{.ManagerStatus.Reachability}}";
        for manager in 0..2 {
            self.say(manager, &["node", "ls", "--format", shown]);
            self.say(manager, &["node", "ps", "castor"]);
            self.say(manager, &["node", "inspect", "--pretty", "castor"]);
            self.say(manager, &["node", "inspect", "--format", reached, "castor"]);
        }
    }

    /// With nothing left of the swarm it was in.
    fn begin_castor(&mut self) {
        let castor = self.testbed.host_mut(2);
        let swarm = match self.stock {
            true => castor.files().join("engine/data/swarm"),
            false => castor.daemon().data_root(),
        };
        fs::remove_dir_all(swarm).unwrap();
        castor.start_engine().unwrap();
        castor.start_daemon().unwrap();
    }

    /// From three managers down to the last.
    fn demotions(&mut self) {
        self.say(1, &["swarm", "leave"]);
        for (name, at) in [("castor", 2), ("boreas", 1)] {
            self.say(0, &["node", "demote", name]);
            self.until(
                at,
                &["info", "--format", "{{.Swarm.ControlAvailable}}"],
                "false",
            );
            let rank = "{{.Spec.Role}} {{if .ManagerStatus}}member{{end}}";
            self.until(0, &["node", "inspect", "--format", rank, name], "worker");
        }
        // Docker counts who is one still, not who shall be.
        let managers = [
            "node",
            "ls",
            "--filter",
            "role=manager",
            "--format",
            "{{.Hostname}}",
        ];
        self.until(0, &managers, "atlas");
        self.say(0, &["node", "demote", "atlas"]);
        self.say(0, &["swarm", "leave"]);
    }
}

fn spoken(options: &Options) -> Vec<String> {
    let mut dialogue = Dialogue {
        testbed: joined(options),
        stock: options.stock,
        said: Vec::new(),
    };
    dialogue.nodes();
    dialogue.promotion();
    dialogue.updates();
    dialogue.tokens();
    dialogue.loss();
    dialogue.demotions();
    dialogue.said
}

#[test]
fn nodes_managers_and_tokens_are_spoken_of_as_by_the_stock_swarm() {
    let stock = thread::spawn(|| spoken(&Options::stock()));
    let ours = spoken(&Options::default());
    let stock = stock.join().unwrap();
    let differing: Vec<_> = stock.iter().zip(&ours).filter(|(a, b)| a != b).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(stock.len(), ours.len());
}
