//! Web servers as a service on a network, and who answers: what tests of networks do again and again.
//!
//! All of it is asserted where it stands: a step that fails is a failure of the test that took it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use crate::observe::{wait_for_replicas, wait_until_gone};
use crate::swarm::CREATE;
use crate::testbed::{Host, IMAGE, unique};
use crate::wait;

const SOON: Duration = Duration::from_secs(30);

/// A web server that says who it is, and ends at once when told to.
pub const SERVER: &str =
    "mkdir -p /srv && hostname > /srv/index.html && exec httpd -f -p 80 -h /srv";

/// Where a program of the host is in a container.
pub const IN_CONTAINER: &str = "/load";
/// What it is linked with.
const LIBRARIES: [&str; 2] = ["/lib", "/lib64"];

/// The flags that put a program of the host there.
pub fn mounts(program: &str) -> Vec<String> {
    let libraries = LIBRARIES
        .iter()
        .filter(|path| std::path::Path::new(path).exists());
    let pairs = libraries.map(|path| (*path, *path));
    pairs
        .chain([(program, IN_CONTAINER)])
        .flat_map(|(from, to)| {
            let mount = format!("type=bind,source={from},target={to},readonly");
            ["--mount".to_owned(), mount]
        })
        .collect()
}

/// An overlay that containers may join.
pub fn overlay(host: &Host, flags: &[&str]) -> String {
    let name = unique("net");
    let create = ["network", "create", "--driver", "overlay", "--attachable"];
    host.docker_ok(&[&create[..], flags, &[&name]].concat());
    name
}

/// A service of web servers.
pub fn servers(host: &Host, replicas: usize, flags: &[&str]) -> String {
    let name = unique("web");
    let count = replicas.to_string();
    let named = ["--name", &name, "--replicas", &count];
    let run = [IMAGE, "sh", "-c", SERVER];
    host.docker_ok(&[&CREATE[..], &named, flags, &run].concat());
    wait_for_replicas(host, &name, &format!("{replicas}/{replicas}")).unwrap();
    name
}

/// Removes a service and waits until its containers are gone.
pub fn remove(host: &Host, service: &str) {
    host.docker_ok(&["service", "rm", service]);
    wait_until_gone(host, service).unwrap();
}

/// Removes a network as soon as nothing is on it.
pub fn remove_network(host: &Host, network: &str) {
    let removed = wait::until("the end of a network", SOON, || {
        let output = host.docker(&["network", "rm", network]).unwrap();
        match output.status {
            0 => Ok(()),
            _ => Err(output.stderr),
        }
    });
    removed.unwrap();
}

/// A container on a network that does nothing by itself; its new name.
pub fn sleeper(host: &Host, network: &str, flags: &[&str]) -> String {
    let name = unique("asker");
    let run = ["run", "--detach", "--name", &name, "--network", network];
    host.docker_ok(&[&run[..], flags, &[IMAGE, "sleep", "600"]].concat());
    name
}

/// What a shell line prints in a new container on a network.
pub fn on_network(host: &Host, network: &str, line: &str) -> String {
    let run = ["run", "--rm", "--network", network, IMAGE, "sh", "-c", line];
    host.docker_ok(&run)
}

/// The addresses that a name resolves to, in a container on a network; sorted.
pub fn addresses(host: &Host, network: &str, name: &str) -> Vec<String> {
    found(&on_network(
        host,
        network,
        &format!("nslookup {name} 127.0.0.11"),
    ))
}

/// The addresses in an answer of `nslookup`, sorted.
pub fn found(answer: &str) -> Vec<String> {
    let mut found: Vec<String> = answer
        .lines()
        .skip_while(|line| !line.starts_with("Name:"))
        .filter_map(|line| line.strip_prefix("Address"))
        .filter_map(|line| {
            line.split_once(": ")
                .map(|(_, address)| address.trim().to_owned())
        })
        .collect();
    found.sort();
    found
}

/// The service's first virtual address.
pub fn virtual_address(host: &Host, service: &str) -> String {
    let format = "{{(index .Endpoint.VirtualIPs 0).Addr}}";
    let cidr = host.docker_ok(&["service", "inspect", "--format", format, service]);
    cidr.split('/').next().unwrap().to_owned()
}

/// The service's virtual address on one of its networks.
pub fn virtual_address_on(host: &Host, network: &str, service: &str) -> String {
    let id = host.docker_ok(&["network", "inspect", "--format", "{{.Id}}", network]);
    let format = format!(
        "{{{{range .Endpoint.VirtualIPs}}}}{{{{if eq .NetworkID \"{id}\"}}}}{{{{.Addr}}}}{{{{end}}}}{{{{end}}}}"
    );
    let cidr = host.docker_ok(&["service", "inspect", "--format", &format, service]);
    cidr.split('/').next().unwrap().to_owned()
}

/// A request by hand: the image's own `wget` cannot do without the libraries that resolve names.
pub fn request(address: &str) -> String {
    format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} 80 | tail -n 1")
}

/// Who answers a number of requests, sorted.
pub fn answers(host: &Host, network: &str, address: &str, requests: usize) -> Vec<String> {
    let line = format!("for i in $(seq {requests}); do {}; done", request(address));
    let mut who: Vec<String> = on_network(host, network, &line)
        .lines()
        .map(str::to_owned)
        .collect();
    who.sort();
    who
}

/// What the host itself gets from there, or why it gets nothing.
pub fn curl(host: &Host, url: &str) -> Result<String, String> {
    let output = host
        .inside(&["curl", "--silent", "--show-error", "--max-time", "3", url])
        .unwrap();
    match output.status {
        0 => Ok(output.stdout),
        _ => Err(output.stderr),
    }
}
