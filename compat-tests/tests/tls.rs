//! The stock command over TCP with certificates: everything that works on the socket works here, and nobody else gets in.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use swarmrs_compat_tests::command::{self, Output};
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(60);
/// The port is in the host's own network namespace.
const ADDRESS: &str = "127.0.0.1:2376";

/// Makes a CA, and from it a server's and a client's certificate, as Docker's own manual has it.
const CERTIFICATES: &str = r#"
set -e; mkdir -p "$1"; cd "$1"
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$1-key.pem" "${@:3}"; }
new ca authority -x509 -days 2 -out ca.pem
sign() { openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile ext -out "$1.pem"; }
new server localhost -out server.csr
printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >ext; sign server
new client client -out client.csr
printf 'extendedKeyUsage=clientAuth\n' >ext; sign client
"#;

/// A host whose swarmrsd listens on TCP too, and where its certificates lie.
struct Place {
    testbed: Testbed,
    folder: PathBuf,
}

/// One for all tests of this file, one at a time, with the certificates it began with.
fn place() -> MutexGuard<'static, Place> {
    static SHARED: OnceLock<Mutex<Place>> = OnceLock::new();
    let place = SHARED.get_or_init(|| Mutex::new(Place::new()));
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("swarmrs-tls-{}", std::process::id()));
        make(&folder, "ours");
        make(&folder, "other");
        copy(&folder, "ours");
        let file = |name: &str| folder.join(name).display().to_string();
        let flags = [
            "--host".to_owned(),
            format!("tcp://{ADDRESS}"),
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", file("ours/ca.pem")),
            format!("--tlscert={}", file("server.pem")),
            format!("--tlskey={}", file("server-key.pem")),
        ];
        let options = Options {
            flags: flags.into(),
            ..Options::default()
        };
        let testbed = Testbed::hosts(1, &options).unwrap();
        Self { testbed, folder }
    }

    fn host(&self) -> &Host {
        self.testbed.host(0)
    }

    /// The stock command, with the certificate of a client of `whose` and trusting `ca`'s servers.
    fn command(&self, whose: &str, ca: &str) -> Command {
        let file = |name: String| self.folder.join(name).display().to_string();
        let mut docker = self.host().inside_command();
        docker.args([
            "/usr/bin/docker",
            "--host",
            &format!("tcp://{ADDRESS}"),
            "--tlsverify",
        ]);
        docker.arg(format!("--tlscacert={}", file(format!("{ca}/ca.pem"))));
        docker.arg(format!("--tlscert={}", file(format!("{whose}/client.pem"))));
        docker.arg(format!(
            "--tlskey={}",
            file(format!("{whose}/client-key.pem"))
        ));
        docker
    }

    fn docker(&self, args: &[&str], stdin: &[u8]) -> Output {
        command::run(self.command("ours", "ours").args(args), stdin, LIMIT).unwrap()
    }

    fn docker_ok(&self, args: &[&str]) -> String {
        self.docker(args, b"").success().unwrap().to_owned()
    }

    /// curl inside the host, trusting our servers.
    fn curl(&self, args: &[&str]) -> Output {
        let ca = self.folder.join("ours/ca.pem").display().to_string();
        let mut curl = self.host().inside_command();
        curl.args([
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--cacert",
            &ca,
        ]);
        command::run(curl.args(args), b"", LIMIT).unwrap()
    }
}

fn make(folder: &Path, name: &str) {
    let mut bash = Command::new("bash");
    bash.args(["-c", CERTIFICATES, "certificates"])
        .arg(folder.join(name));
    command::run(&mut bash, b"", LIMIT)
        .unwrap()
        .success()
        .unwrap();
}

/// Puts a server's certificate where swarmrsd reads it.
fn copy(folder: &Path, whose: &str) {
    for name in ["server.pem", "server-key.pem"] {
        std::fs::copy(folder.join(whose).join(name), folder.join(name)).unwrap();
    }
}

fn mebibyte() -> Vec<u8> {
    (0..1 << 17)
        .flat_map(|n: usize| format!("{n:07}\n").into_bytes())
        .collect()
}

fn digest(bytes: &[u8]) -> String {
    let sum = command::run(&mut Command::new("sha256sum"), bytes, LIMIT).unwrap();
    sum.success().unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_stock_command_runs_a_swarm_over_it() {
    let place = place();
    let name = unique("tls");
    if place
        .docker_ok(&["info", "--format", "{{.Swarm.LocalNodeState}}"])
        .trim()
        != "active"
    {
        place.docker_ok(&["swarm", "init", "--advertise-addr", place.host().address()]);
    }
    place.docker_ok(&[
        "service",
        "create",
        "--detach",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo up; sleep 3600",
    ]);
    let logs = || place.docker(&["service", "logs", &name], b"").stdout;
    wait::until("the service's output", LIMIT, || {
        logs()
            .contains("up")
            .then_some(())
            .ok_or_else(|| place.docker_ok(&["service", "ps", &name]))
    })
    .unwrap();
    place.docker_ok(&["service", "rm", &name]);
}

#[test]
fn input_and_its_end_arrive_through_run_exec_and_attach() {
    let place = place();
    let (input, expected) = (mebibyte(), format!("{}  -", digest(&mebibyte())));
    let run = place.docker(
        &["run", "--rm", "--interactive", IMAGE, "sha256sum"],
        &input,
    );
    assert_eq!(run.success().unwrap(), expected);
    let name = unique("tls");
    place.docker_ok(&[
        "run",
        "--detach",
        "--interactive",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "head -c 1048576 | sha256sum; exit 3",
    ]);
    let exec = place.docker(&["exec", "--interactive", &name, "sha256sum"], &input);
    assert_eq!(exec.success().unwrap(), expected);
    // When the input of such a container ends, the engine drops whoever is attached, its last line written or not: what the
    // container made of the input is in its log.
    let attach = place.docker(&["attach", &name], &input);
    assert_eq!(attach.status, 3, "{attach:?}");
    let logs = place.docker_ok(&["logs", "--follow", &name]);
    assert_eq!(logs, expected);
    place.docker_ok(&["rm", &name]);
}

#[test]
fn logs_are_followed_and_an_image_is_built() {
    let place = place();
    let name = unique("tls");
    place.docker_ok(&[
        "run",
        "--detach",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        "echo first; sleep 2; echo last",
    ]);
    assert_eq!(place.docker_ok(&["logs", "--follow", &name]), "first\nlast");
    place.docker_ok(&["rm", &name]);
    let file = format!("FROM {IMAGE}\nRUN echo built > /built\nCMD [\"cat\", \"/built\"]\n");
    let tag = format!("{name}:test");
    place
        .docker(&["build", "--tag", &tag, "-"], file.as_bytes())
        .success()
        .unwrap();
    assert_eq!(place.docker_ok(&["run", "--rm", &tag]), "built");
}

#[test]
fn without_a_certificate_of_our_ca_nobody_is_answered() {
    let place = place();
    let https = format!("https://{ADDRESS}/_ping");
    let none = place.curl(&[&https]);
    assert!(none.status != 0 && none.stdout.is_empty(), "{none:?}");
    let plain = place.curl(&[&format!("http://{ADDRESS}/_ping")]);
    assert!(!plain.stdout.contains("OK"), "{plain:?}");
    let stranger = command::run(place.command("other", "ours").arg("version"), b"", LIMIT).unwrap();
    assert!(
        stranger.status != 0 && !stranger.stdout.contains("Server:"),
        "{stranger:?}"
    );
    let client = |name: &str| place.folder.join("ours").join(name).display().to_string();
    let (cert, key) = (client("client.pem"), client("client-key.pem"));
    let known = |target: &str| {
        place
            .curl(&[
                "--cert",
                &cert,
                "--key",
                &key,
                &format!("https://{ADDRESS}{target}"),
            ])
            .stdout
    };
    assert_eq!(known("/_ping"), "OK");
    let own = known("/swarmrs/v1/read/version");
    assert!(own.contains("not served on TCP"), "{own}");
}

#[test]
fn sighup_takes_renewed_certificates_and_keeps_the_old_over_broken_ones() {
    let place = place();
    let pid = Pid::from_raw(place.host().daemon().pid().unwrap());
    let answers = |ca: &str| {
        let version = command::run(place.command("ours", ca).arg("version"), b"", LIMIT).unwrap();
        version.status == 0
    };
    let reloaded = |said: &str| {
        let lines = || {
            std::fs::read_to_string(place.host().daemon().log())
                .unwrap()
                .matches(said)
                .count()
        };
        let before = lines();
        kill(pid, Signal::SIGHUP).unwrap();
        wait::until(said, LIMIT, || {
            (lines() > before)
                .then_some(())
                .ok_or_else(|| "not yet".to_owned())
        })
        .unwrap();
    };
    assert!(answers("ours") && !answers("other"));
    copy(&place.folder, "other");
    reloaded("SIGHUP: certificates reloaded");
    assert!(answers("other") && !answers("ours"));
    std::fs::write(place.folder.join("server.pem"), "rubbish").unwrap();
    reloaded("SIGHUP: the certificates stay as they were");
    assert!(answers("other"));
    copy(&place.folder, "ours");
    reloaded("SIGHUP: certificates reloaded");
    assert!(answers("ours"));
}
