//! What a user says of names: servers, search domains and options.

use swarmrs_compat_tests::swarm::{shared, sleepers};
use swarmrs_compat_tests::testbed::Process;
use swarmrs_compat_tests::web::{overlay, remove_network, sleeper};
use swarmrs_compat_tests::{Host, Testbed, wait};

use super::SOON;
use super::load::LOAD;

/// A name server outside of the host that says the same of every name.
fn name_server(testbed: &Testbed) -> Process {
    let mut command = testbed.outside_command();
    command.args([LOAD, "names", "10.77.0.254:53", "192.0.2.7"]);
    let log = testbed.host(0).files().join("names.log");
    Process::start(&mut command, &log).unwrap()
}

fn look_up(host: &Host, container: &str, name: &str) -> String {
    let output = host.docker(&["exec", container, "nslookup", name, "127.0.0.11"]);
    output.unwrap().stdout
}

fn check(host: &Host, container: &str) {
    let answered = wait::until(
        "an answer of the user's own server",
        SOON,
        || match look_up(host, container, "www.example.org") {
            answer if answer.contains("192.0.2.7") => Ok(()),
            answer => Err(answer),
        },
    );
    answered.unwrap();
    let own = look_up(host, container, container);
    assert!(own.contains("Name:") && !own.contains("192.0.2.7"), "{own}");
    let settings = host.docker_ok(&["exec", container, "cat", "/etc/resolv.conf"]);
    assert!(settings.contains("search example.net"), "{settings}");
    assert!(settings.contains("timeout:3"), "{settings}");
}

#[test]
fn servers_search_domains_and_options_of_the_user_are_in_force() {
    let testbed = shared();
    let host = testbed.host(0);
    let _server = name_server(&testbed);
    let network = overlay(host, &[]);
    let flags = [
        "--dns",
        "10.77.0.254",
        "--dns-search",
        "example.net",
        "--dns-option",
        "timeout:3",
    ];
    let name = sleeper(host, &network, &flags);
    check(host, &name);
    let on = ["--network", &network];
    let service = sleepers(host, 1, &[&on[..], &flags].concat());
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let container = wait::until("a task", SOON, || {
        match host.docker_ok(&["ps", "--format", "{{.Names}}", "--filter", &filter]) {
            none if none.is_empty() => Err(none),
            one => Ok(one),
        }
    });
    check(host, &container.unwrap());
    host.docker_ok(&["rm", "--force", &name]);
    host.docker_ok(&["service", "rm", &service]);
    remove_network(host, &network);
}
