//! Files on a real tmpfs: who may read what, and that nothing is left. They need root, as all of the agent's work does.

use super::*;
use crate::executor::fake::{order, task};
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use swarmrs_types::assignment::{Payload, PayloadId};
use swarmrs_types::spec::Driver;

/// Takes the mount away, however the test ends.
struct Place {
    folder: tempfile::TempDir,
    secrets: Secrets,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.secrets.clear();
    }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::at(folder.path().join("secrets"));
        Place { folder, secrets }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.secrets.folder().join(task(1).as_str()).join(name)
    }

    fn fill(&self, order: &Order) -> Result<(), String> {
        let mut seen = Surroundings::default();
        seen.context.service.name = "web".to_owned();
        seen.env = vec!["E=e=1".to_owned()];
        self.secrets.fill(order, &seen)
    }
}

fn id(name: &str) -> String {
    format!("{name:0>25}")
}

fn payload(secret: bool, name: &str, text: &str, language: Option<&str>) -> Payload {
    let raw = id(name);
    Payload {
        id: match secret {
            true => PayloadId::Secret(raw.parse().unwrap()),
            false => PayloadId::Config(raw.parse().unwrap()),
        },
        data: text.as_bytes().to_vec().into(),
        templating: language.map(|name| Driver {
            name: name.to_owned(),
            ..Driver::default()
        }),
    }
}

fn told(add: Vec<Payload>) -> PayloadDiff {
    PayloadDiff {
        add,
        forget: Vec::new(),
    }
}

fn asks(container: serde_json::Value) -> Order {
    let mut order = order(1);
    order.spec.container_spec = serde_json::from_value(container).unwrap();
    order
}

fn asks_for_a() -> Order {
    asks(json!({"Secrets": [
        {"SecretID": id("a"), "File": {"Name": "a", "UID": "7", "GID": "8", "Mode": 0o440}},
    ]}))
}

#[test]
fn a_file_is_empty_until_the_start_and_then_its_owners() {
    let place = Place::new();
    place
        .secrets
        .keep(told(vec![payload(true, "a", "hush", None)]), true);
    place.secrets.reserve(&asks_for_a()).unwrap();
    assert_eq!(fs::read(place.file("secret-0")).unwrap(), b"");
    place.fill(&asks_for_a()).unwrap();
    let meta = fs::metadata(place.file("secret-0")).unwrap();
    assert_eq!(fs::read(place.file("secret-0")).unwrap(), b"hush");
    assert_eq!(
        (meta.uid(), meta.gid(), meta.mode() & 0o7777),
        (7, 8, 0o440)
    );
}

/// Stock's agents keep one file for both, of the owner that was named last.
#[test]
fn the_same_secret_twice_has_two_owners() {
    let place = Place::new();
    place
        .secrets
        .keep(told(vec![payload(true, "a", "hush", None)]), true);
    let file = |name: &str, uid: &str| json!({"SecretID": id("a"), "File": {"Name": name, "UID": uid, "GID": "0"}});
    place
        .fill(&asks(json!({"Secrets": [file("x", "7"), file("y", "9")]})))
        .unwrap();
    let uid = |name: &str| fs::metadata(place.file(name)).unwrap().uid();
    assert_eq!((uid("secret-0"), uid("secret-1")), (7, 9));
}

#[test]
fn files_lie_on_a_tmpfs_that_only_root_enters() {
    let place = Place::new();
    place.secrets.reserve(&asks_for_a()).unwrap();
    let folder = fs::metadata(place.secrets.folder()).unwrap();
    assert_ne!(
        folder.dev(),
        fs::metadata(place.folder.path()).unwrap().dev()
    );
    assert_eq!((folder.uid(), folder.mode() & 0o777), (0, 0o700));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let path = place.secrets.folder().display().to_string();
    let mount = mounts.lines().find(|line| line.contains(&path)).unwrap();
    assert!(mount.starts_with("swarmrs ") && mount.contains(" tmpfs rw,nosuid,nodev,noexec"));
}

#[test]
fn a_wiped_exec_root_is_filled_again_before_a_start() {
    let place = Place::new();
    place
        .secrets
        .keep(told(vec![payload(true, "a", "hush", None)]), true);
    place.secrets.reserve(&asks_for_a()).unwrap();
    tmpfs::end(place.secrets.folder()).unwrap();
    assert!(!place.file("secret-0").exists());
    place.fill(&asks_for_a()).unwrap();
    assert_eq!(fs::read(place.file("secret-0")).unwrap(), b"hush");
}

#[test]
fn files_go_with_their_task_and_the_mount_with_the_swarm() {
    let place = Place::new();
    place.secrets.reserve(&asks_for_a()).unwrap();
    assert_eq!(place.secrets.kept(), [task(1)]);
    place.secrets.forget(task(2));
    assert_eq!(place.secrets.kept(), [task(1)]);
    place.secrets.forget(task(1));
    assert_eq!(place.secrets.kept(), []);
    place.secrets.clear();
    assert!(!place.secrets.folder().exists());
}

#[test]
fn a_task_without_files_mounts_nothing() {
    let place = Place::new();
    place.secrets.reserve(&order(1)).unwrap();
    place.fill(&order(1)).unwrap();
    place.secrets.forget(task(1));
    assert!(!place.secrets.folder().exists());
}

#[test]
fn what_no_manager_told_or_was_forgotten_is_not_found() {
    let place = Place::new();
    let missing = format!(
        "unable to get secret from secret store: secret {} not found",
        id("a")
    );
    assert_eq!(place.fill(&asks_for_a()), Err(missing.clone()));
    let known = payload(true, "a", "hush", None);
    place.secrets.keep(told(vec![known.clone()]), true);
    assert_eq!(place.fill(&asks_for_a()), Ok(()));
    let forget = vec![known.id];
    place.secrets.keep(
        PayloadDiff {
            add: Vec::new(),
            forget,
        },
        false,
    );
    assert_eq!(place.fill(&asks_for_a()), Err(missing.clone()));
    place.secrets.keep(told(vec![known]), false);
    place.secrets.keep(PayloadDiff::default(), true);
    assert_eq!(place.fill(&asks_for_a()), Err(missing));
}

#[test]
fn a_template_sees_its_task_and_what_its_container_refers_to() {
    let place = Place::new();
    let text =
        "{{.Service.Name}} {{secret \"a\"}} {{config \"b\"}} {{env \"E\"}}{{.Node.Hostname}}";
    place.secrets.keep(
        told(vec![
            payload(true, "a", "hush", None),
            payload(true, "z", "other", None),
            payload(false, "b", "plain", None),
            payload(false, "t", text, Some("golang")),
        ]),
        true,
    );
    let order = asks(json!({
        "Secrets": [{"SecretID": id("a"), "File": {"Name": "a", "UID": "0", "GID": "0"}}],
        "Configs": [
            {"ConfigID": id("b"), "File": {"Name": "b", "UID": "0", "GID": "0"}},
            {"ConfigID": id("t"), "File": {"Name": "t", "UID": "0", "GID": "0"}},
        ],
    }));
    place.fill(&order).unwrap();
    let written = fs::read_to_string(place.file("config-1")).unwrap();
    assert_eq!(written, "web hush plain e=1");
}

#[test]
fn a_template_that_fails_is_told_in_stocks_words() {
    let order = asks(json!({"Configs": [
        {"ConfigID": id("t"), "File": {"Name": "t", "UID": "0", "GID": "0"}},
    ]}));
    for (text, language, why) in [
        ("x", "python", "unrecognized template type"),
        (
            "{{secret \"z\"}}",
            "golang",
            "template: expansion:1:2: executing \"expansion\" at <secret \"z\">: error calling secret: secret target z not found",
        ),
    ] {
        let place = Place::new();
        place
            .secrets
            .keep(told(vec![payload(false, "t", text, Some(language))]), true);
        let expected = format!(
            "unable to get config from config store: failed to expand templated config {}: {why}",
            id("t")
        );
        assert_eq!(place.fill(&order), Err(expected));
    }
}

#[test]
fn an_owner_that_is_no_number_is_refused_in_gos_words() {
    assert_eq!(number("+5"), Ok(5));
    assert_eq!(number("-1"), Ok(-1));
    for (text, why) in [
        ("", "invalid syntax"),
        ("root", "invalid syntax"),
        ("99999999999999999999", "value out of range"),
    ] {
        let expected = format!("strconv.Atoi: parsing \"{text}\": {why}");
        assert_eq!(number(text), Err(expected));
    }
}

#[test]
fn a_mode_is_gos() {
    assert_eq!(permissions(0o444), 0o444);
    assert_eq!(permissions(0o4444), 0o444);
    assert_eq!(permissions(1 << 23 | 1 << 20 | 0o700), 0o5700);
}

#[test]
fn nothing_of_a_payload_is_printed() {
    let place = Place::new();
    place
        .secrets
        .keep(told(vec![payload(true, "a", "hush", None)]), true);
    let shown = format!("{:?}", place.secrets);
    assert!(!shown.contains("hush") && !shown.contains("104"), "{shown}");
}
