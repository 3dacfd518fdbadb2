//! One root takes another's place under a running swarm of five hosts, and what the stock command says of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use swarmrs_compat_tests::observe::wait_for_replicas;
use swarmrs_compat_tests::swarm::CREATE;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::transcript::mask;
use swarmrs_compat_tests::{Host, Options, Testbed};

use crate::hosts::{HOSTS, MANAGERS, join, joined, token, until, until_nodes, whole};

/// Makes roots and keys as users do, some of which cannot be a swarm's: `rsa`, `p256`, `leaf` (no authority), `short` (of
/// 300 days), `sha1`, `two` (certificates in one file), `broken`.
const ROOTS: &str = r#"
set -e; exec 2>/dev/null; cd "$1"
cat >conf <<END
[req]
distinguished_name=dn
prompt=no
x509_extensions=ca
[dn]
O=Example Works
CN=Our own root
[ca]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[leaf]
basicConstraints=critical,CA:FALSE
END
openssl ecparam -name prime256v1 -genkey -noout -out p256.key
openssl genrsa -out rsa.key 2048
root() { openssl req -x509 -new -config conf -key "$2.key" -days 7000 -out "$1.crt" "${@:3}"; }
root p256 p256; root rsa rsa; root leaf p256 -extensions leaf; root short p256 -days 300; root sha1 p256 -sha1
cat p256.crt rsa.crt >two.crt
printf -- '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' >broken.crt
printf -- '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' >broken.key
"#;

/// A folder with roots in it, gone with it.
struct Roots(PathBuf);

impl Roots {
    fn make() -> Self {
        let folder =
            std::env::temp_dir().join(unique(&format!("swarmrs-roots-{}", std::process::id())));
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("bash")
            .args(["-c", ROOTS, "roots"])
            .arg(&folder)
            .status();
        assert!(made.unwrap().success(), "no roots were made");
        Roots(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Roots {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The containers of each host, with the moment each was started.
fn containers(testbed: &Testbed) -> Vec<BTreeMap<String, String>> {
    let of = |host: &Host| {
        let listed = host.docker_ok(&["ps", "--quiet", "--no-trunc"]);
        let started = |id: &str| {
            host.docker_ok(&[
                "inspect",
                "--format",
                "{{.State.StartedAt}} {{.RestartCount}}",
                id,
            ])
        };
        listed
            .lines()
            .map(|id| (id.to_owned(), started(id)))
            .collect()
    };
    (0..HOSTS).map(|at| of(testbed.host(at))).collect()
}

/// Waits until every node is there with a certificate of the root that the swarm has.
#[track_caller]
fn until_settled(host: &Host) {
    until("every node with the swarm's root", || {
        let format = "{{.Hostname}} {{.Status}} {{.TLSStatus}}";
        let shown = host.docker(&["node", "ls", "--format", format]);
        let shown = shown.map_err(|error| error.to_string())?.stdout;
        let settled = shown
            .lines()
            .filter(|line| line.ends_with("Ready Ready"))
            .count();
        match settled == HOSTS {
            true => Ok(()),
            false => Err(shown),
        }
    });
}

#[test]
fn a_root_takes_anothers_place_under_a_running_service() {
    let mut testbed = joined(&Options::default());
    let named = ["--name", "steady", "--mode", "global"];
    let command = [IMAGE, "sleep", "600"];
    testbed
        .host(0)
        .docker_ok(&[&CREATE[..], &named, &command].concat());
    wait_for_replicas(testbed.host(0), "steady", "5/5").unwrap();
    let before = containers(&testbed);
    let (old_root, old_token) = (
        testbed.host(0).docker_ok(&["swarm", "ca"]),
        token(testbed.host(0), "worker"),
    );

    // Not the leader is asked, and the command waits to the end.
    let told = testbed
        .host(1)
        .docker_ok(&["swarm", "ca", "--rotate", "--cert-expiry", "3h"]);
    assert!(told.contains("desired root digest: sha256:"), "{told}");
    let new_root = testbed.host(2).docker_ok(&["swarm", "ca"]);
    assert!(
        told.trim_end().ends_with(new_root.trim_end()),
        "{told}\n{new_root}"
    );
    assert_ne!(old_root, new_root);
    for manager in 0..MANAGERS {
        assert_eq!(testbed.host(manager).docker_ok(&["swarm", "ca"]), new_root);
        until_nodes(testbed.host(manager), &whole());
    }
    until_settled(testbed.host(0));
    assert_eq!(containers(&testbed), before, "a container was touched");

    // Who joins brings the new digest.
    let electra = testbed.host(4);
    electra.docker_ok(&["swarm", "leave"]);
    until("electra down", || {
        let shown = testbed.host(0).docker(&["node", "rm", "electra"]);
        shown
            .and_then(|output| output.success().map(drop))
            .map_err(|error| error.to_string())
    });
    let to = format!("{}:2377", testbed.host(0).address());
    let refused = electra
        .docker(&["swarm", "join", "--token", &old_token, &to])
        .unwrap();
    assert!(
        refused
            .stderr
            .contains("remote CA does not match fingerprint"),
        "{refused:?}"
    );
    join(&testbed, 4, "worker");
    until_settled(testbed.host(0));

    // Daemons that start again know each other by the new root alone.
    for at in [3, 2, 0] {
        testbed.host_mut(at).stop_daemon().unwrap();
        testbed.host_mut(at).start_daemon().unwrap();
    }
    until_settled(testbed.host(1));

    // A root of the user's own, while a worker is away: it comes back into the rotation.
    let roots = Roots::make();
    testbed.host_mut(3).stop_daemon().unwrap();
    let (cert, key) = (roots.path("rsa.crt"), roots.path("rsa.key"));
    let own = ["--ca-cert", &cert, "--ca-key", &key, "--detach"];
    testbed
        .host(2)
        .docker_ok(&[&["swarm", "ca", "--rotate"], &own[..]].concat());
    let rotating = [
        "info",
        "--format",
        "{{.Swarm.Cluster.RootRotationInProgress}}",
    ];
    assert_eq!(testbed.host(0).docker_ok(&rotating), "true");
    testbed.host_mut(3).start_daemon().unwrap();
    until("the end of the rotation", || {
        match testbed.host(0).docker_ok(&rotating).as_str() {
            "false" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    until_settled(testbed.host(0));
    let shown = testbed.host(1).docker_ok(&["swarm", "ca"]);
    let brought = std::fs::read_to_string(&cert).unwrap();
    assert_eq!(shown.trim(), brought.trim());
}

/// What one swarm of one host says.
fn spoken(options: &Options, roots: &Path) -> Vec<String> {
    let testbed = match Testbed::hosts(1, options) {
        Ok(testbed) => testbed,
        Err(error) => panic!("no testbed: {error}"),
    };
    let host = testbed.host(0);
    let path = |name: &str| roots.join(name).display().to_string();
    let mut said = Vec::new();
    let mut say = |args: &[&str]| {
        let output = host.docker(args).unwrap();
        let told = format!("{}{}", output.stdout, output.stderr);
        let line = format!(
            "docker {}\n{} {}",
            args.join(" "),
            output.status,
            told.trim()
        );
        said.push(mask::text(&line));
    };
    say(&["swarm", "ca"]);
    host.docker_ok(&["swarm", "init", "--advertise-addr", host.address()]);
    let bring = |cert: &str, key: &str| {
        [
            "swarm",
            "ca",
            "--rotate",
            "--quiet",
            "--ca-cert",
            &path(cert),
            "--ca-key",
            &path(key),
        ]
        .map(str::to_owned)
    };
    for (cert, key) in [
        ("p256.crt", "rsa.key"),
        ("p256.crt", "broken.key"),
        ("broken.crt", "p256.key"),
        ("two.crt", "p256.key"),
        ("short.crt", "p256.key"),
        ("sha1.crt", "p256.key"),
    ] {
        say(&bring(cert, key).each_ref().map(String::as_str));
    }
    let outside = "protocol=cfssl,url=https://127.0.0.1:9/sign";
    let (cert, key) = (path("p256.crt"), path("p256.key"));
    say(&["swarm", "ca", "--rotate", "--detach", "--ca-key", &key]);
    say(&[
        "swarm",
        "ca",
        "--rotate",
        "--detach",
        "--ca-cert",
        &cert,
        "--external-ca",
        outside,
    ]);
    say(&["swarm", "ca", "--rotate", "--detach", "--cert-expiry", "1m"]);
    say(&["swarm", "ca", "--cert-expiry", "2h"]);
    // Nothing has changed by all that.
    let settings =
        "{{.Swarm.Cluster.RootRotationInProgress}} {{json .Swarm.Cluster.Spec.CAConfig}}";
    say(&["info", "--format", settings]);
    let before = token(host, "worker");
    say(&["swarm", "ca", "--rotate", "--quiet", "--cert-expiry", "2h"]);
    say(&["info", "--format", settings]);
    assert_ne!(token(host, "worker"), before);
    say(&["swarm", "ca", "--rotate", "--quiet"]);
    for name in ["p256", "rsa"] {
        say(&bring(&format!("{name}.crt"), &format!("{name}.key"))
            .each_ref()
            .map(String::as_str));
        say(&["swarm", "ca"]);
        say(&["info", "--format", settings]);
        let issuer = "{{.Description.TLSInfo.CertIssuerSubject}}";
        say(&["node", "inspect", "--format", issuer, "self"]);
    }
    say(&["swarm", "update", "--external-ca", outside]);
    say(&["info", "--format", settings]);
    said
}

#[test]
fn rotations_and_what_is_refused_of_them_are_spoken_of_as_by_the_stock_swarm() {
    let roots = Roots::make();
    let folder = roots.0.clone();
    let stock = thread::spawn(move || spoken(&Options::stock(), &folder));
    let ours = spoken(&Options::default(), &roots.0);
    let stock = stock.join().unwrap();
    let differing: Vec<_> = stock.iter().zip(&ours).filter(|(a, b)| a != b).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(stock.len(), ours.len());
}
