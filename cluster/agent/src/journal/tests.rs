use super::*;
use crate::executor::fake::task;
use swarmrs_types::TaskState;

fn record(n: u8, state: TaskState) -> Record {
    Record {
        task: task(n),
        container: Some(format!("c{n}")),
        desired: TaskState::Running,
        state,
        exit: 0,
        spec: "00ff".into(),
    }
}

fn bytes(folder: &Path) -> String {
    fs::read_to_string(folder.join("agent/journal")).unwrap()
}

fn write(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("agent")).unwrap();
    fs::write(folder.join("agent/journal"), text).unwrap();
}

#[test]
fn the_bytes_are_these() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    let mut ended = record(2, TaskState::Failed);
    (ended.container, ended.exit) = (None, 7);
    journal.note(record(1, TaskState::Starting)).unwrap();
    journal.note(ended).unwrap();
    journal.forget(task(1)).unwrap();
    let expected = concat!(
        "swarmrs-agent-journal 1\n",
        r#"{"task":"0000000000000000000000001","container":"c1","desired":"running","state":"starting","spec":"00ff","sum":"ee4e4e960553df4ead7be7ee70c2a61b6f04f2be575c5d04fb4284c807bffdd4"}"#,
        "\n",
        r#"{"task":"0000000000000000000000002","desired":"running","state":"failed","exit":7,"spec":"00ff","sum":"02718d8ca1af745ba21f7e3a90196a4025187db59814994fc0749a0a2ecd3864"}"#,
        "\n",
        r#"{"forget":"0000000000000000000000001","sum":"4be82b4f489856f2ac79028abf0e8e1746fd6269952232d2197a9079f6b181d3"}"#,
        "\n",
    );
    assert_eq!(bytes(folder.path()), expected);
}

#[test]
fn what_was_noted_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    for state in [TaskState::Ready, TaskState::Running] {
        journal.note(record(1, state)).unwrap();
    }
    journal.note(record(2, TaskState::Ready)).unwrap();
    journal.forget(task(2)).unwrap();
    drop(journal);
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.get(task(1)), Some(&record(1, TaskState::Running)));
    assert_eq!(journal.containers(), [(task(1), "c1".to_owned())]);
    assert_eq!(bytes(folder.path()).lines().count(), 2);
}

#[test]
fn a_torn_last_line_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.note(record(1, TaskState::Ready)).unwrap();
    let torn = format!("{}{{\"task\":\"00", bytes(folder.path()));
    write(folder.path(), &torn);
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.get(task(1)), Some(&record(1, TaskState::Ready)));
}

#[test]
fn a_line_that_the_disk_refused_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.note(record(1, TaskState::Ready)).unwrap();
    let good = std::mem::replace(&mut journal.file, File::create("/dev/full").unwrap());
    journal.note(record(2, TaskState::Ready)).unwrap_err();
    journal.file = good;
    journal.file.write_all(b"{\"task\":\"00").unwrap();
    journal.note(record(3, TaskState::Ready)).unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let known = |n| journal.get(task(n)) == Some(&record(n, TaskState::Ready));
    assert!(known(1) && known(2) && known(3));
}

#[test]
fn a_changed_byte_is_refused_or_changes_nothing_and_lines_without_a_sum_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    for (n, state) in [
        (1, TaskState::Ready),
        (2, TaskState::Running),
        (1, TaskState::Failed),
    ] {
        journal.note(record(n, state)).unwrap();
    }
    journal.forget(task(2)).unwrap();
    let good = bytes(folder.path()).into_bytes();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(folder.path().join("agent/journal"), &bad).unwrap();
        match Journal::open(folder.path()) {
            Ok(found) => assert_eq!(found.records, journal.records, "byte {at}"),
            Err(_) => assert_eq!(fs::read(&journal.path).unwrap(), bad, "byte {at}"),
        }
    }
    let line = serde_json::to_string(&record(3, TaskState::Ready)).unwrap();
    write(folder.path(), &format!("{HEADER}\n{line}\n"));
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.get(task(3)), Some(&record(3, TaskState::Ready)));
}

#[test]
fn a_journal_of_another_kind_or_release_is_refused_and_kept() {
    for text in [
        "swarmrs-agent-journal 2\n",
        "",
        "something else\n",
        "swarmrs-agent-journal 1\n{\"task\":\n{}\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), text);
        let error = Journal::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("agent/journal"), "{error}");
        assert_eq!(bytes(folder.path()), text);
        let is_newer = error.contains("by a newer release");
        assert_eq!(is_newer, text.starts_with("swarmrs-agent-journal 2"));
    }
}

#[test]
fn a_long_life_leaves_a_short_journal() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    for _ in 0..SLACK {
        journal.note(record(1, TaskState::Ready)).unwrap();
        journal.note(record(1, TaskState::Running)).unwrap();
    }
    assert!(bytes(folder.path()).lines().count() <= SLACK + 5);
    drop(journal);
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.get(task(1)), Some(&record(1, TaskState::Running)));
}
