//! Secrets and configs as a container sees them: compared with the stock swarm, kept over crashes, found nowhere else. Of the
//! tour: a service gets a secret in memory, with owner, mode and target of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;
use swarmrs_compat_tests::http::Request;
use swarmrs_compat_tests::observe::{task_containers, wait_for_replicas};
use swarmrs_compat_tests::swarm;
use swarmrs_compat_tests::testbed::{IMAGE, unique};
use swarmrs_compat_tests::web::remove;
use swarmrs_compat_tests::{Host, Options, Testbed, wait};

const SOON: Duration = Duration::from_secs(60);

/// Makes a secret or a config with this content.
fn make(host: &Host, kind: &str, options: &[&str], name: &str, content: &[u8]) {
    let args = [&[kind, "create"][..], options, &[name, "-"]].concat();
    host.docker_fed(&args, content).unwrap().success().unwrap();
}

fn serve(host: &Host, name: &str, options: &[&str]) -> String {
    let start = [
        "service",
        "create",
        "--detach",
        "--name",
        name,
        "--stop-signal",
        "KILL",
    ];
    let args = [&start[..], options, &[IMAGE, "sleep", "600"]].concat();
    host.docker_ok(&args);
    wait_for_replicas(host, name, "1/1").unwrap();
    container(host, name)
}

/// The service's container that runs.
fn container(host: &Host, service: &str) -> String {
    let containers = task_containers(host, service).unwrap();
    let running: Vec<_> = containers.iter().filter(|one| one.running).collect();
    assert_eq!(running.len(), 1, "{containers:?}");
    running[0].container.clone()
}

fn exec(host: &Host, container: &str, script: &str) -> String {
    host.docker_ok(&["exec", container, "sh", "-c", script])
}

/// What a container sees of its files: owner, mode, content, what they are mounted from and that they cannot be written.
const LOOK: &str = "for f in /run/secrets/key /etc/cert.pem /run/secrets/deep/er /plain.txt /srv/page.txt; do \
    stat -c '%n %u:%g %a %s' $f; cat $f; echo; awk -v f=$f '$2 == f { print $3, substr($4, 1, 2) }' /proc/mounts; \
    (echo x >$f) 2>/dev/null && echo written; done; ls -ld /run/secrets | cut -c1-10; true";

/// The whole life of one service's files on a host, in words.
fn seen(host: &Host) -> String {
    make(host, "secret", &[], "key", b"hush\n\0");
    make(host, "secret", &[], "cert", b"certificate");
    make(host, "secret", &[], "deep", b"below");
    make(host, "config", &[], "conf", b"plain");
    let page = b"{{.Service.Name}} {{env \"COLOUR\"}} {{secret \"key\"}} {{config \"plain.txt\"}}{{.Node.Hostname}}|{{.Task.Slot}}";
    make(
        host,
        "config",
        &["--template-driver", "golang"],
        "page",
        page,
    );
    let options = [
        "--env",
        "COLOUR=red={{.Task.Slot}}",
        "--secret",
        "key",
        "--secret",
        "source=cert,target=/etc/cert.pem,uid=7,gid=8,mode=0440",
        "--secret",
        "source=deep,target=deep/er,mode=4711",
        "--config",
        "source=conf,target=plain.txt",
        "--config",
        "source=page,target=/srv/page.txt,mode=0400",
    ];
    let container = serve(host, "files", &options);
    let seen = exec(host, &container, LOOK);
    let written = host.docker_ok(&["diff", &container]);
    let written: Vec<&str> = written
        .lines()
        .filter(|line| !line.contains("ash_history"))
        .collect();
    let mut written = written;
    written.sort_unstable();
    let commit = host.docker_ok(&["commit", &container, "copy"]);
    assert!(commit.starts_with("sha256:"), "{commit}");
    let copied = host.docker_ok(&[
        "run",
        "--rm",
        "copy",
        "cat",
        "/run/secrets/key",
        "/plain.txt",
    ]);
    remove(host, "files");
    host.docker_ok(&["image", "rm", "copy"]);
    host.docker_ok(&["secret", "rm", "key", "cert", "deep"]);
    host.docker_ok(&["config", "rm", "conf", "page"]);
    format!(
        "{seen}\n--- diff\n{}\n--- committed: {copied:?}\n",
        written.join("\n")
    )
}

#[test]
fn a_container_sees_what_it_sees_on_the_stock_swarm() {
    let reference = Testbed::hosts(1, &Options::stock()).unwrap();
    reference.host(0).reference_swarm().unwrap();
    let expected = seen(reference.host(0));
    let testbed = swarm::shared();
    assert_eq!(seen(testbed.host(0)), expected);
    assert!(
        expected.contains("/etc/cert.pem 7:8 440 11") && expected.contains("hush"),
        "{expected}"
    );
}

/// How a task ends whose files cannot be made.
fn failure(host: &Host) -> Vec<String> {
    make(
        host,
        "config",
        &["--template-driver", "python"],
        "alien",
        b"x",
    );
    make(
        host,
        "config",
        &["--template-driver", "golang"],
        "lost",
        b"{{secret \"nothing\"}}",
    );
    make(host, "secret", &[], "key", b"x");
    let cases = [
        ["--config", "alien"],
        ["--config", "lost"],
        ["--secret", "source=key,target=key,uid=root"],
    ];
    let told = cases.map(|case| {
        let create = [
            "service",
            "create",
            "--detach",
            "--name",
            "odd",
            "--restart-condition",
            "none",
        ];
        host.docker_ok(&[&create[..], &case, &[IMAGE, "sleep", "600"]].concat());
        let told = wait::until("the task's failure", SOON, || {
            let format = "{{.CurrentState}} {{.Error}}";
            let told = host.docker_ok(&["service", "ps", "--no-trunc", "--format", format, "odd"]);
            match told.starts_with("Failed") || told.starts_with("Rejected") {
                true => Ok(told),
                false => Err(told),
            }
        });
        remove(host, "odd");
        let told = told.unwrap();
        let state = told.split(' ').next().unwrap();
        let error = told.split_once('"').map_or("", |(_, error)| error);
        let words = error
            .split(' ')
            .map(|word| match word.trim_matches(':').len() {
                25 => "<id>",
                _ => word,
            });
        format!("{state} {}", words.collect::<Vec<_>>().join(" "))
    });
    host.docker_ok(&["config", "rm", "alien", "lost"]);
    host.docker_ok(&["secret", "rm", "key"]);
    told.to_vec()
}

#[test]
fn files_that_cannot_be_made_end_their_task_as_on_the_stock_swarm() {
    let reference = Testbed::hosts(1, &Options::stock()).unwrap();
    reference.host(0).reference_swarm().unwrap();
    let expected = failure(reference.host(0));
    let testbed = swarm::shared();
    assert_eq!(failure(testbed.host(0)), expected);
    println!("{expected:#?}");
}

fn files_kept(host: &Host) -> Vec<String> {
    let folder = host.files().join("swarmrs/exec/secrets");
    let list = host
        .inside(&["find", &folder.to_string_lossy(), "-type", "f"])
        .unwrap();
    list.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn a_new_secret_makes_new_tasks_and_the_old_files_go() {
    let testbed = swarm::shared();
    let host = testbed.host(0);
    let name = unique("rotate");
    make(host, "secret", &[], "v1", b"first");
    make(host, "secret", &[], "v2", b"second");
    let old = serve(host, &name, &["--secret", "source=v1,target=key"]);
    assert_eq!(exec(host, &old, "cat /run/secrets/key"), "first");
    host.docker_ok(&[
        "service",
        "update",
        "--secret-rm",
        "v1",
        "--secret-add",
        "source=v2,target=key",
        "--update-monitor",
        "1s",
        &name,
    ]);
    let new = container(host, &name);
    assert_ne!(new, old);
    assert_eq!(exec(host, &new, "cat /run/secrets/key"), "second");
    host.docker_ok(&["secret", "rm", "v1"]);
    remove(host, &name);
    host.docker_ok(&["secret", "rm", "v2"]);
    wait::until("the files of all tasks to go", SOON, || {
        match files_kept(host) {
            kept if kept.is_empty() => Ok(()),
            kept => Err(format!("{kept:?}")),
        }
    })
    .unwrap();
}

#[test]
fn a_crash_of_the_daemon_takes_no_file_away() {
    let mut testbed = swarm::shared();
    let name = unique("steady");
    make(testbed.host(0), "secret", &[], "steady", b"still");
    let before = serve(testbed.host(0), &name, &["--secret", "steady"]);
    testbed.host_mut(0).kill_daemon();
    let host = testbed.host(0);
    let shell = ["exec", &before, "cat", "/run/secrets/steady"];
    assert_eq!(host.engine_docker(&shell).unwrap().stdout.trim(), "still");
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    wait_for_replicas(host, &name, "1/1").unwrap();
    assert_eq!(container(host, &name), before);
    assert_eq!(exec(host, &before, "cat /run/secrets/steady"), "still");
    host.docker_ok(&[
        "service",
        "update",
        "--force",
        "--update-monitor",
        "1s",
        &name,
    ]);
    let after = container(host, &name);
    assert_ne!(after, before);
    assert_eq!(exec(host, &after, "cat /run/secrets/steady"), "still");
    remove(host, &name);
    host.docker_ok(&["secret", "rm", "steady"]);
}

/// Engine and daemon end, the exec-root is wiped as a reboot does, and all comes back with its files.
#[test]
fn after_a_reboot_files_are_made_again() {
    let mut testbed = swarm::shared();
    let name = unique("reboot");
    make(testbed.host(0), "secret", &[], "boot", b"again");
    serve(
        testbed.host(0),
        &name,
        &["--secret", "boot", "--restart-delay", "0s"],
    );
    testbed.host_mut(0).kill_daemon();
    testbed.host_mut(0).stop_engine().unwrap();
    let folder = testbed.host(0).files().join("swarmrs/exec/secrets");
    let folder = folder.to_string_lossy().into_owned();
    let unmounted = testbed.host(0).inside(&["umount", "-l", &folder]).unwrap();
    unmounted.success().unwrap();
    assert!(files_kept(testbed.host(0)).is_empty());
    testbed.host_mut(0).start_engine().unwrap();
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    let content = wait::until("the service's files", SOON, || {
        let containers = task_containers(host, &name).map_err(|error| error.to_string())?;
        let running = containers
            .iter()
            .find(|one| one.running)
            .ok_or("nothing runs")?;
        let read = host.docker(&["exec", &running.container, "cat", "/run/secrets/boot"]);
        let read = read.map_err(|error| error.to_string())?;
        read.success()
            .map(str::to_owned)
            .map_err(|error| error.to_string())
    });
    assert_eq!(content.unwrap().trim(), "again");
    remove(host, &name);
    host.docker_ok(&["secret", "rm", "boot"]);
}

/// A swarmrsd in a mount namespace of its own makes mounts that the engine never sees: no container is made, and the task
/// says why.
#[test]
fn an_engine_that_does_not_see_the_files_is_named() {
    let shared = swarm::shared();
    let pid = shared.host(0).daemon().pid().unwrap();
    let daemon = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let apart = shared.host(0).files().join("apart");
    let script = format!(
        "#!/bin/sh\nexec unshare --mount --propagation private {} \"$@\"\n",
        daemon.display()
    );
    std::fs::write(&apart, script).unwrap();
    std::fs::set_permissions(&apart, std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = Options {
        swarmrsd: Some(apart),
        ..Options::default()
    };
    let testbed = Testbed::hosts(1, &options).unwrap();
    let host = testbed.host(0);
    swarm::init(host);
    make(host, "secret", &[], "key", b"x");
    let create = [
        "service", "create", "--detach", "--name", "blind", "--secret", "key",
    ];
    host.docker_ok(&[&create[..], &[IMAGE, "sleep", "600"]].concat());
    let format = [
        "service",
        "ps",
        "--no-trunc",
        "--format",
        "{{.CurrentState}} {{.Error}}",
        "blind",
    ];
    let told = wait::until("the reason", SOON, || {
        let told = host.docker_ok(&format);
        match told.starts_with("Rejected") {
            true => Ok(told),
            false => Err(told),
        }
    });
    let told = told.unwrap();
    assert!(
        told.contains("since it runs in another mount namespace than swarmrsd"),
        "{told}"
    );
    assert!(task_containers(host, "blind").unwrap().is_empty());
}

/// Files below `folder` that hold the text.
fn holding(folder: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            found.extend(holding(&path, needles));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let holds = |needle: &Vec<u8>| bytes.windows(needle.len()).any(|part| part == needle);
            if needles.iter().any(holds) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The text as it may stand in base64, whatever comes before it.
fn in_base64(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let shifted = (0..3)
        .map(|before| STANDARD.encode([&b"...".as_slice()[..before], text.as_bytes()].concat()));
    shifted.map(|encoded| encoded.as_bytes()[4..encoded.len() - 4].to_vec())
}

fn needles(texts: &[&str]) -> Vec<Vec<u8>> {
    let each = texts.iter();
    each.flat_map(|text| in_base64(text).chain([text.as_bytes().to_vec()]))
        .collect()
}

/// Secrets, configs, environment values and registry logins are in clear nowhere that is ours, and payloads nowhere that is
/// the engine's. That the engine keeps environment values in its containers' settings is how the search proves itself.
#[test]
fn a_canary_is_found_in_no_file() {
    const SECRET: &str = "canary-secret-c81f";
    const CONFIG: &str = "canary-config-2d07";
    const VALUE: &str = "canary-env-9a3e";
    const LOGIN: &str = "canary-login-41bb";
    let mut testbed = swarm::shared();
    let host = testbed.host(0);
    make(host, "secret", &[], "canary", SECRET.as_bytes());
    make(host, "config", &[], "canary", CONFIG.as_bytes());
    let template = b"{{secret \"canary\"}} {{config \"canary\"}}";
    make(
        host,
        "config",
        &["--template-driver", "golang"],
        "song",
        template,
    );
    let id =
        |kind: &str, name: &str| host.docker_ok(&[kind, "inspect", "--format", "{{.ID}}", name]);
    let file = |name: &str| json!({"Name": name, "UID": "0", "GID": "0", "Mode": 0o444});
    let spec = json!({"Name": "canary", "TaskTemplate": {"ContainerSpec": {
        "Image": IMAGE, "Command": ["sleep", "600"], "StopSignal": "KILL", "Env": [format!("SONG={VALUE}")],
        "Secrets": [{"SecretID": id("secret", "canary").trim(), "SecretName": "canary", "File": file("canary")}],
        "Configs": [
            {"ConfigID": id("config", "canary").trim(), "ConfigName": "canary", "File": file("canary")},
            {"ConfigID": id("config", "song").trim(), "ConfigName": "song", "File": file("song")},
        ],
    }}});
    let login = json!({"username": "u", "password": LOGIN, "serveraddress": "nowhere"}).to_string();
    let auth = URL_SAFE.encode(login);
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Registry-Auth", auth.as_str()),
    ];
    let body = spec.to_string();
    let call = Request {
        method: "POST",
        target: "/services/create",
        headers: &headers,
        body: Some(body.as_bytes()),
    };
    let answer = host.send(&call).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait_for_replicas(host, "canary", "1/1").unwrap();
    let container = container(host, "canary");
    let song = exec(host, &container, "cat /song; echo; echo $SONG");
    assert_eq!(song.trim(), format!("{SECRET} {CONFIG}\n{VALUE}"));
    host.docker_ok(&["commit", &container, "canary"]);
    let (ours, engine) = (host.files().join("swarmrs"), host.files().join("engine"));
    testbed.host_mut(0).kill_daemon();
    let everything = needles(&[SECRET, CONFIG, VALUE, LOGIN]);
    assert_eq!(holding(&ours, &everything), Vec::<String>::new());
    assert_eq!(
        holding(&engine, &needles(&[SECRET, CONFIG, LOGIN])),
        Vec::<String>::new()
    );
    let settings = holding(&engine, &needles(&[VALUE]));
    assert!(
        settings.iter().any(|path| path.ends_with("config.v2.json")),
        "{settings:?}"
    );
    testbed.host_mut(0).start_daemon().unwrap();
    let host = testbed.host(0);
    remove(host, "canary");
    host.docker_ok(&["image", "rm", "canary"]);
    host.docker_ok(&["secret", "rm", "canary"]);
    host.docker_ok(&["config", "rm", "canary", "song"]);
}
