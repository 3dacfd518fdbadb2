//! The engine seen through swarmrsd is the engine: streams, uploads, terminals, and an engine that goes away.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::MutexGuard;
use std::time::Duration;

use swarmrs_compat_tests::command::{self, Output};
use swarmrs_compat_tests::http::{self, Request};
use swarmrs_compat_tests::testbed::{IMAGE, shared, unique};
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const LIMIT: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// The shared host with its engine running, whatever the test before did to it.
fn ready() -> MutexGuard<'static, Testbed> {
    let mut testbed = shared(&Options::recorded());
    if testbed.host(0).engine().pid().is_none() {
        testbed.host_mut(0).start_engine().unwrap();
    }
    testbed
}

/// A mebibyte that is not all the same.
fn mebibyte() -> Vec<u8> {
    (0..MIB / 8)
        .flat_map(|n: usize| format!("{n:07}\n").into_bytes())
        .collect()
}

/// The digest as `sha256sum` prints it, taken on this side.
fn digest(bytes: &[u8]) -> String {
    let sum = command::run(Command::new("sha256sum").arg("-"), bytes, LIMIT).unwrap();
    sum.success().unwrap().split(' ').next().unwrap().to_owned()
}

fn background(host: &Host, script: &str) -> String {
    let name = unique("proxy");
    host.docker_ok(&[
        "run",
        "--detach",
        "--interactive",
        "--name",
        &name,
        IMAGE,
        "sh",
        "-c",
        script,
    ]);
    name
}

fn remove(host: &Host, container: &str) {
    host.docker_ok(&["rm", "--force", container]);
}

fn shell(host: &Host, script: &str) -> Output {
    let mut sh = host.docker_command_of("sh");
    command::run(sh.args(["-c", script]), b"", LIMIT).unwrap()
}

#[test]
fn run_carries_a_mebibyte_in_and_ends_at_its_end() {
    let testbed = ready();
    let input = mebibyte();
    let output = testbed
        .host(0)
        .docker_fed(
            &["run", "--rm", "--interactive", IMAGE, "sha256sum"],
            &input,
        )
        .unwrap();
    assert_eq!(output.success().unwrap(), format!("{}  -", digest(&input)));
}

#[test]
fn run_brings_a_mebibyte_out_with_its_streams_apart() {
    let testbed = ready();
    let script = "seq -w 0 131071 | sed 's/^/0/'; echo end >&2; exit 7";
    let output = testbed
        .host(0)
        .docker(&["run", "--rm", IMAGE, "sh", "-c", script])
        .unwrap();
    let expected: String = (0..MIB / 8).map(|n| format!("{n:07}\n")).collect();
    assert!(
        output.stdout == expected,
        "{} bytes instead of {}",
        output.stdout.len(),
        expected.len()
    );
    assert_eq!((output.status, output.stderr.as_str()), (7, "end\n"));
}

#[test]
fn run_in_a_terminal_has_a_terminal() {
    let testbed = ready();
    let arguments = [
        "run",
        "--rm",
        "-it",
        IMAGE,
        "sh",
        "-c",
        "tty && read line && echo got $line && exit 5",
    ];
    let output = testbed
        .host(0)
        .docker_in_terminal(&arguments, b"hello\n")
        .unwrap();
    assert!(
        output.stdout.contains("/dev/pts/") && output.stdout.contains("got hello"),
        "{output:?}"
    );
    assert_eq!(output.status, 5, "{output:?}");
}

#[test]
fn exec_carries_input_output_and_the_exit_code() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "sleep 600");
    let input = mebibyte();
    let output = host
        .docker_fed(
            &[
                "exec",
                "--interactive",
                &name,
                "sh",
                "-c",
                "sha256sum; exit 9",
            ],
            &input,
        )
        .unwrap();
    assert_eq!(
        (output.status, output.stdout),
        (9, format!("{}  -\n", digest(&input)))
    );
    let terminal = host
        .docker_in_terminal(&["exec", "-it", &name, "tty"], b"")
        .unwrap();
    assert!(terminal.stdout.contains("/dev/pts/"), "{terminal:?}");
    remove(host, &name);
}

#[test]
fn attach_speaks_with_what_runs() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "read line; echo got $line; exit 4");
    let mut attach = host.docker_command_of("sh");
    attach.args(["-c", &format!("exec timeout 60 \"$DOCKER\" attach {name}")]);
    let mut attach = attach
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The engine cuts the output off when the input ends, so the input stays open to the end.
    let mut input = attach.stdin.take().unwrap();
    input.write_all(b"hello\n").unwrap();
    let output = attach.wait_with_output().unwrap();
    drop(input);
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        (output.status.code(), seen.as_str()),
        (Some(4), "got hello\n")
    );
    remove(host, &name);
}

#[test]
fn a_legacy_attach_without_an_upgrade_gets_200_and_a_raw_stream() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "read line; echo got $line");
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "POST /v1.41/containers/{name}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nContent-Type: text/plain\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The engine drops what comes before it has taken the connection over; its head says that it has.
    let mut seen = vec![0; 4096];
    let read = stream.read(&mut seen).unwrap();
    seen.truncate(read);
    stream.write_all(b"hello\n").unwrap();
    stream.read_to_end(&mut seen).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(
        seen.starts_with("HTTP/1.1 200") && seen.contains("got hello"),
        "{seen:?}"
    );
    remove(host, &name);
}

#[test]
fn a_websocket_attach_is_upgraded() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "sleep 600");
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "GET /v1.41/containers/{name}/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nOrigin: http://docker\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut seen = [0; 512];
    let read = stream.read(&mut seen).unwrap();
    let seen = String::from_utf8_lossy(&seen[..read]);
    // The accept value is the protocol's own answer to that key.
    assert!(
        seen.starts_with("HTTP/1.1 101") && seen.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{seen:?}"
    );
    remove(host, &name);
}

#[test]
fn images_are_built_the_classic_way_and_by_buildkit() {
    let testbed = ready();
    let host = testbed.host(0);
    host.write("build/data", &mebibyte()).unwrap();
    for (buildkit, dockerfile) in [
        (
            "0",
            format!("FROM {IMAGE}\nCOPY data /data\nRUN sha256sum /data"),
        ),
        ("1", "FROM scratch\nCOPY data /data".to_owned()),
    ] {
        host.write("build/Dockerfile", dockerfile.as_bytes())
            .unwrap();
        let folder = host.files().join("build");
        let output = shell(
            host,
            &format!(
                "DOCKER_BUILDKIT={buildkit} \"$DOCKER\" build --tag built:{buildkit} {}",
                folder.display()
            ),
        );
        assert_eq!(output.status, 0, "BuildKit {buildkit}: {output:?}");
        assert!(
            buildkit == "1" || output.stdout.contains(&digest(&mebibyte())),
            "{output:?}"
        );
        host.engine_docker(&["image", "inspect", &format!("built:{buildkit}")])
            .unwrap()
            .success()
            .unwrap();
    }
}

#[test]
fn logs_are_followed_to_the_end() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "for n in 1 2 3; do echo line $n; sleep 0.3; done");
    let output = host.docker(&["logs", "--follow", &name]).unwrap();
    assert_eq!(output.success().unwrap(), "line 1\nline 2\nline 3");
    remove(host, &name);
}

#[test]
fn events_come_while_they_happen() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("events");
    let filter = format!("container={name}");
    let mut events = host.docker_command();
    events
        .args(["events", "--filter", &filter, "--format", "{{.Action}}"])
        .stdout(Stdio::piped());
    let mut events = events.spawn().unwrap();
    // There is no sign of the subscription from outside: containers are run until one of them is reported.
    let mut reported = events.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut seen = [0; 256];
        let read = reported.read(&mut seen).unwrap();
        String::from_utf8_lossy(&seen[..read]).into_owned()
    });
    wait::until("an event", LIMIT, || {
        host.docker_ok(&["run", "--rm", "--name", &name, IMAGE, "true"]);
        if reader.is_finished() {
            Ok(())
        } else {
            Err("nothing reported".to_owned())
        }
    })
    .unwrap();
    events.kill().unwrap();
    events.wait().unwrap();
    assert!(reader.join().unwrap().lines().next().is_some());
}

#[test]
fn wait_ends_with_the_container() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "read line; exit 6");
    let script = format!("\"$DOCKER\" wait {name} & echo | \"$DOCKER\" attach {name}; wait");
    let output = shell(host, &script);
    assert_eq!(output.stdout.trim(), "6", "{output:?}");
    remove(host, &name);
}

#[test]
fn stats_top_and_diff_answer() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "touch /new; sleep 600");
    assert!(
        host.docker_ok(&["stats", "--no-stream", "--format", "{{.Name}}", &name])
            .contains(&name)
    );
    assert!(host.docker_ok(&["top", &name]).contains("sleep 600"));
    wait::until("the new file", LIMIT, || {
        let changes = host.docker_ok(&["diff", &name]);
        if changes.contains("A /new") {
            Ok(())
        } else {
            Err(changes)
        }
    })
    .unwrap();
    remove(host, &name);
}

#[test]
fn files_are_copied_both_ways() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = background(host, "sleep 600");
    let from = host.write("copied", &mebibyte()).unwrap();
    let to = host.files().join("copied-back");
    host.docker_ok(&[
        "cp",
        &from.to_string_lossy(),
        &format!("{name}:/tmp/copied"),
    ]);
    host.docker_ok(&["cp", &format!("{name}:/tmp/copied"), &to.to_string_lossy()]);
    assert!(std::fs::read(to).unwrap() == mebibyte());
    remove(host, &name);
}

#[test]
fn images_are_saved_loaded_and_imported() {
    let testbed = ready();
    let host = testbed.host(0);
    let saved = host
        .files()
        .join("saved.tar")
        .to_string_lossy()
        .into_owned();
    host.docker_ok(&["tag", IMAGE, "swarmrs-test/saved:1"]);
    host.docker_ok(&["save", "--output", &saved, "swarmrs-test/saved:1"]);
    host.docker_ok(&["rmi", "swarmrs-test/saved:1"]);
    assert!(
        host.docker_ok(&["load", "--input", &saved])
            .contains("Loaded image: swarmrs-test/saved:1")
    );
    let name = background(host, "true");
    let script =
        format!("\"$DOCKER\" export {name} | \"$DOCKER\" import - swarmrs-test/imported:1");
    assert_eq!(shell(host, &script).status, 0);
    host.engine_docker(&["image", "inspect", "swarmrs-test/imported:1"])
        .unwrap()
        .success()
        .unwrap();
    remove(host, &name);
}

/// A command's outcome without the log lines that it adds when a cancelled request ends early.
fn said(output: &Output) -> (i32, &str, Vec<&str>) {
    let errors = output
        .stderr
        .lines()
        .filter(|line| !line.starts_with("time="));
    (output.status, &output.stdout, errors.collect())
}

#[test]
fn refusals_are_the_engines_own() {
    let testbed = ready();
    let host = testbed.host(0);
    for arguments in [
        &["pull", "127.0.0.1:1/nothing:1"][..],
        &["push", "swarmrs-test/nothing:1"],
        &["run", "--rm", "127.0.0.1:1/nothing:1"],
        &["inspect", "nothing"],
        &["rm", "nothing"],
        &["run", "--rm", IMAGE, "/no/such/program"],
        &["network", "rm", "nothing"],
        &["volume", "rm", "nothing"],
    ] {
        let (through, direct) = (
            host.docker(arguments).unwrap(),
            host.engine_docker(arguments).unwrap(),
        );
        assert_eq!(said(&through), said(&direct), "{arguments:?}");
        assert_ne!(through.status, 0);
    }
}

/// A request as a client writes it, in odd but valid ways.
fn odd_request(name: &str) -> (String, String) {
    let body = format!(
        "{{ \"Image\" :\"{IMAGE}\",\n\t\"Cmd\":[\"true\"], \"Labels\":{{\"z\":\"1\",\"a\":\"<&>\"}} }}"
    );
    let head = format!(
        "POST /v1.41/containers/create?name={name}&x=%7e%2F HTTP/1.1\r\nhOsT: docker\r\nX-Registry-Auth: e30=\r\n\
         content-TYPE: application/json; charset=utf-8\r\nX-Twice: 1\r\nX-Twice: 2\r\nUser-Agent: odd/1\r\nContent-Length: {}\r\n",
        body.len()
    );
    (head, body)
}

#[test]
fn the_engine_sees_the_head_and_body_that_the_client_sent() {
    let testbed = ready();
    let host = testbed.host(0);
    let name = unique("odd");
    let (head, body) = odd_request(&name);
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 201"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let start = format!("POST /v1.41/containers/create?name={name}&");
    let seen = String::from_utf8(host.recorder().request(&start).unwrap()).unwrap();
    let (seen_head, seen_body) = seen.split_once("\r\n\r\n").unwrap();
    let end_to_end = |head: &str| {
        let lines = head
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(end_to_end(seen_head), end_to_end(&head));
    assert!(seen_body.starts_with(&body), "{seen_body:?}");
    remove(host, &name);
}

#[test]
fn a_target_of_60_kib_passes_and_one_that_cannot_pass_gets_414() {
    let testbed = ready();
    let host = testbed.host(0);
    let long = format!(
        "/v1.41/containers/json?filters=%7B%22label%22:%5B%22{}%22%5D%7D",
        "x".repeat(60 << 10)
    );
    let answer = host.send(&Request::new("GET", &long)).unwrap();
    assert_eq!((answer.status, answer.text().trim()), (200, "[]"));
    let longer = format!("/v1.41/containers/json?x={}", "x".repeat(70 << 10));
    assert_eq!(
        host.send(&Request::new("GET", &longer)).unwrap().status,
        414
    );
}

#[test]
fn an_engine_that_goes_away_is_an_error_and_not_a_hang() {
    let mut testbed = ready();
    let name = background(testbed.host(0), "sleep 600");
    let socket = testbed.host(0).socket();
    let following = {
        let target = format!("/v1.41/containers/{name}/logs?follow=1&stdout=1");
        std::thread::spawn(move || http::call(&socket, &Request::new("GET", &target), LIMIT))
    };
    wait::until("the stream at the engine", LIMIT, || {
        let lines = testbed.host(0).recorder().request_lines();
        if lines
            .iter()
            .any(|line| line.contains(&format!("{name}/logs")))
        {
            Ok(())
        } else {
            Err(format!("{lines:?}"))
        }
    })
    .unwrap();
    testbed.host_mut(0).kill_engine();
    wait::until("the end of the stream", Duration::from_secs(20), || {
        if following.is_finished() {
            Ok(())
        } else {
            Err("still open".to_owned())
        }
    })
    .unwrap();
    let answer = testbed
        .host(0)
        .send(&Request::new("GET", "/v1.41/containers/json"))
        .unwrap();
    assert!(
        answer.status == 503 && answer.message().contains("sock"),
        "{} {}",
        answer.status,
        answer.text()
    );
    testbed.host_mut(0).start_engine().unwrap();
    wait::until("the engine through swarmrsd", LIMIT, || {
        let shown = testbed
            .host(0)
            .docker(&["ps", "--all", "--format", "{{.Names}}"])
            .map_err(|e| e.to_string())?;
        if shown.stdout.contains(&name) {
            Ok(())
        } else {
            Err(format!("{shown:?}"))
        }
    })
    .unwrap();
    remove(testbed.host(0), &name);
}
