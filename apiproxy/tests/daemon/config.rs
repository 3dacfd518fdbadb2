//! The configuration file, and what a SIGHUP makes of it.

use nix::sys::signal::Signal;

use crate::support::Place;

#[test]
fn a_key_that_is_a_flag_too_is_refused_and_nothing_is_started() {
    let place = Place::new();
    let file = place.path("daemon.json");
    std::fs::write(&file, r#"{"pidfile": "/x"}"#).unwrap();
    let text = place.refused(&["--config-file", file.to_str().unwrap()]);
    let expected = format!(
        "swarmrsd: unable to configure the Docker daemon with file {}: the following directives are specified both as a \
         flag and in the configuration file: pidfile: (from flag: {}, from file: /x)",
        file.display(),
        place.path("swarmrsd.pid").display()
    );
    assert!(text.contains(&expected), "{text}");
    assert!(!place.path("data").exists());
}

#[test]
fn validate_checks_and_starts_nothing() {
    let place = Place::new();
    let file = place.path("daemon.json");
    let validate = || {
        let mut command = place.command();
        command.args(["--validate", "--config-file"]).arg(&file);
        let output = command.output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    std::fs::write(&file, r#"{"hosts": ["fd://"], "log-level": "warn"}"#).unwrap();
    assert_eq!(validate(), (true, "configuration OK\n".to_owned()));
    for (content, told) in [
        (
            r#"{"hots": []}"#,
            "the following directives don't match any configuration option: hots",
        ),
        (
            r#"{"group": "no-such-group"}"#,
            "there is no group \"no-such-group\"",
        ),
        (
            r#"{"tlsverify": true, "tlscert": "/none"}"#,
            "could not load X509 key pair (cert: \"/none\"",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let (fine, text) = validate();
        assert!(!fine && text.contains(told), "{text}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn sighup_takes_over_what_it_can_and_names_the_rest() {
    let place = Place::new();
    let file = place.path("daemon.json");
    std::fs::write(&file, "{}").unwrap();
    let mut daemon = place.start_with(&["--config-file", file.to_str().unwrap()]);
    let reload = |content: &str| {
        std::fs::write(&file, content).unwrap();
        daemon.signal(Signal::SIGHUP);
    };
    reload(r#"{"debug": true, "log-format": "json", "swarmrs-api-on-tcp": true}"#);
    let mut logged = daemon.logs("these take effect after a restart");
    assert!(
        logged.contains("SIGHUP: configuration reloaded") && logged.contains("level=debug"),
        "{logged}"
    );
    assert!(
        logged.contains("options=swarmrs-api-on-tcp, log-format"),
        "{logged}"
    );
    let reload = |content: &str| {
        std::fs::write(&file, content).unwrap();
        daemon.signal(Signal::SIGHUP);
    };
    reload(r#"{"log-level": "loud"}"#);
    logged = daemon.logs("SIGHUP: the configuration stays as it was");
    assert!(
        logged.contains("invalid value 'loud' for '--log-level"),
        "{logged}"
    );
}
