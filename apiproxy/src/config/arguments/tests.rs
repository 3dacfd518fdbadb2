//! Command lines and files, and what becomes of them.

use super::*;

/// Reads a command line whose file has this content.
fn read_with(content: &str, flags: &[&str]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.json");
    std::fs::write(&path, content).unwrap();
    let file = format!("--config-file={}", path.display());
    let words = ["swarmrsd", &file].into_iter().chain(flags.iter().copied());
    Source::of(words).read().map_err(|error| {
        let text = error.to_string();
        let front = format!(
            "unable to configure the Docker daemon with file {}: ",
            path.display()
        );
        text.strip_prefix(&front).unwrap_or(&text).to_owned()
    })
}

fn refused(content: &str, flags: &[&str]) -> String {
    read_with(content, flags).unwrap_err()
}

#[test]
fn keys_are_the_long_names_of_options() {
    let config = read_with(
        r#"{"hosts": ["unix:///run/a.sock", "fd://"], "engine": "unix:///run/b.sock", "data-root": "/d", "exec-root": "/e",
            "pidfile": "/p", "group": "g", "debug": true, "log-level": "warn", "log-format": "json", "tlsverify": true,
            "tlscacert": "/ca", "tlscert": "/cert", "tlskey": "/key", "swarmrs-api-on-tcp": true}"#,
        &[],
    );
    let config = config.unwrap();
    assert_eq!(
        config.hosts,
        ["/run/a.sock".parse().unwrap(), "fd://".parse().unwrap()]
    );
    assert_eq!(config.level, LevelFilter::DEBUG);
    assert!(config.swarmrs_api_on_tcp);
    assert!(matches!(&config.tls, TlsMode::On(files) if files.client_ca == Some("/ca".into())));
}

#[test]
fn a_file_that_says_nothing_changes_nothing() {
    for nothing in ["", " \n", "{}", "\u{feff}{}", r#"{"debug": null}"#] {
        let config = read_with(nothing, &["--log-level=warn"]).unwrap();
        assert_eq!(config.level, LevelFilter::WARN, "{nothing:?}");
        assert_eq!(config.hosts, ["/run/swarmrs/docker.sock".parse().unwrap()]);
    }
}

#[test]
fn an_option_in_both_places_is_an_error_that_names_it() {
    assert_eq!(
        refused(
            r#"{"debug": true, "hosts": ["fd://"], "data-root": "/a"}"#,
            &["-D", "--host=/a", "-H", "/b"]
        ),
        "the following directives are specified both as a flag and in the configuration file: \
         debug: (from flag: true, from file: true), hosts: (from flag: [/a /b], from file: [fd://])"
    );
}

#[test]
fn keys_that_nobody_knows_are_errors() {
    assert_eq!(
        refused(
            r#"{"debug": true, "live-restore": true, "host": [], "config-file": "/x", "data_root": "/d"}"#,
            &[]
        ),
        "the following directives don't match any configuration option: config-file, data_root, host, live-restore"
    );
}

#[test]
fn values_of_the_wrong_type_are_errors_in_gos_words() {
    for (content, found, key, expected) in [
        (r#"{"debug": "true"}"#, "string", "debug", "bool"),
        (r#"{"tls": 1}"#, "number", "tls", "bool"),
        (r#"{"hosts": "fd://"}"#, "string", "hosts", "[]string"),
        (r#"{"hosts": [1]}"#, "number", "hosts", "string"),
        (r#"{"data-root": ["/d"]}"#, "array", "data-root", "string"),
        (r#"{"log-level": {}}"#, "object", "log-level", "string"),
        (r#"{"engine": true}"#, "bool", "engine", "string"),
    ] {
        let text = format!(
            "json: cannot unmarshal {found} into Go struct field Config.{key} of type {expected}"
        );
        assert_eq!(refused(content, &[]), text);
    }
}

#[test]
fn values_that_no_option_takes_are_errors() {
    for (content, told) in [
        (
            r#"{"log-level": "loud"}"#,
            "invalid value 'loud' for '--log-level",
        ),
        (r#"{"hosts": ["npipe://x"]}"#, "npipe://x is not an address"),
        ("[]", "not a JSON object: "),
        ("{", "not a JSON object: "),
        (
            r#"{"hosts": ["tcp://0.0.0.0"]}"#,
            "tcp://0.0.0.0:2375: listening on TCP needs TLS",
        ),
    ] {
        let text = refused(content, &[]);
        assert!(text.contains(told), "{content}: {text}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = Source::of(["swarmrsd", "--config-file=/nowhere/x"])
        .read()
        .unwrap_err();
    assert!(
        error.to_string().starts_with(
            "unable to configure the Docker daemon with file /nowhere/x: No such file"
        )
    );
}

#[test]
fn tcp_in_clear_must_be_asked_for() {
    let read = |flags: &[&str]| {
        let words = ["swarmrsd", "-H", "tcp://127.0.0.1:0"].into_iter();
        Source::of(words.chain(flags.iter().copied())).read()
    };
    assert!(matches!(read(&[]), Err(SourceError::Unprotected(_))));
    assert_eq!(read(&["--tls=false"]).unwrap().tls, TlsMode::Off);
    assert!(matches!(read(&["--tls"]).unwrap().tls, TlsMode::On(_)));
}

#[test]
fn what_a_running_daemon_cannot_take_over_is_named() {
    let read = |flags: &[&str]| Source::of(["swarmrsd"].iter().chain(flags)).read().unwrap();
    let before = read(&[]);
    assert!(before.fixed_differences(&read(&["-D"])).is_empty());
    let after = read(&["--engine=/x", "--tls=false", "--log-level=warn"]);
    assert_eq!(before.fixed_differences(&after), ["engine", "tls*"]);
}
