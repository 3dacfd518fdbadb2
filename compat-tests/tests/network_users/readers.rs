//! Programs that read the swarm's networks: what Traefik and Prometheus ask for, and `docker network inspect --verbose`.

use std::collections::BTreeSet;

use serde_json::Value;
use swarmrs_compat_tests::observe::tasks;
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::Process;
use swarmrs_compat_tests::web::{self, overlay, remove_network, servers};
use swarmrs_compat_tests::{Host, wait};

use super::SOON;

/// A service of two web servers, labelled as Traefik wants it.
fn labelled(host: &Host, network: &str, port: &str) -> String {
    let flags = ["--network", network, "--publish", port];
    let label = ["--label", "traefik.enable=true"];
    servers(host, 2, &[&flags[..], &label].concat())
}

fn remove(host: &Host, service: &str, network: &str) {
    web::remove(host, service);
    remove_network(host, network);
}

fn get(host: &Host, target: &str) -> Value {
    host.api("GET", target, None).unwrap().success().unwrap()
}

/// The part of a CIDR before the slash; a text without one is no CIDR.
fn address(cidr: &Value) -> String {
    let (address, prefix) = cidr.as_str().unwrap().split_once('/').unwrap();
    assert!(prefix.parse::<u8>().is_ok(), "{cidr}");
    address.to_owned()
}

/// The addresses of a service's tasks on a network as containers themselves say.
fn own_addresses(host: &Host, service: &str) -> BTreeSet<String> {
    let filter = format!("label=com.docker.swarm.service.name={service}");
    let ids = host.docker_ok(&["ps", "--quiet", "--filter", &filter]);
    let lines = ids.lines().flat_map(|id| {
        let line = "ip -4 -o addr show | grep -o 'inet [0-9.]*'";
        let shown = host.docker_ok(&["exec", id, "sh", "-c", line]);
        shown
            .lines()
            .map(|line| line.replace("inet ", ""))
            .collect::<Vec<_>>()
    });
    lines.filter(|address| address != "127.0.0.1").collect()
}

#[test]
fn traefiks_and_prometheus_reads_find_virtual_addresses_and_tasks() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = labelled(host, &network, "18100:80");
    let networks = get(
        host,
        "/v1.41/networks?filters=%7B%22scope%22:%7B%22swarm%22:true%7D%7D",
    );
    let names = |id: &Value| {
        let mut all = networks.as_array().unwrap().iter();
        all.find(|one| one["Id"] == *id).unwrap()["Name"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let services = get(host, "/v1.41/services");
    let mut services = services.as_array().unwrap().iter();
    let shown = services
        .find(|one| one["Spec"]["Name"] == *service)
        .unwrap();
    assert_eq!(shown["Spec"]["Labels"]["traefik.enable"], "true");
    assert_eq!(shown["Spec"]["EndpointSpec"]["Mode"], "vip");
    assert_eq!(shown["Spec"]["Mode"]["Global"], Value::Null);
    let vips = shown["Endpoint"]["VirtualIPs"].as_array().unwrap().iter();
    let vips: Vec<(String, String)> = vips
        .map(|vip| (names(&vip["NetworkID"]), address(&vip["Addr"])))
        .collect();
    assert!(vips.iter().any(|(name, _)| *name == network), "{vips:?}");
    let mut seen = BTreeSet::new();
    for task in tasks(host, &service).unwrap() {
        assert_eq!(task["Status"]["State"], "running");
        assert_eq!(task["DesiredState"], "running");
        let container = &task["Status"]["ContainerStatus"]["ContainerID"];
        assert_eq!(container.as_str().unwrap().len(), 64, "{task}");
        assert_eq!(task["ServiceID"], shown["ID"]);
        let node = get(
            host,
            &format!("/v1.41/nodes/{}", task["NodeID"].as_str().unwrap()),
        );
        assert_eq!(node["Status"]["Addr"], host.address());
        assert!(task["Slot"].as_u64().unwrap() >= 1);
        for attached in task["NetworksAttachments"].as_array().unwrap() {
            let name = names(&attached["Network"]["ID"]);
            assert!(
                [network.as_str(), "ingress"].contains(&name.as_str()),
                "{name}"
            );
            assert_eq!(attached["Network"]["Spec"]["Name"], name.as_str());
            let id = attached["Network"]["ID"].as_str().unwrap();
            let looked_at = get(host, &format!("/v1.41/networks/{id}"));
            let read = ["Name", "Scope", "Driver", "Ingress", "Internal"];
            let read = read.map(|field| &looked_at[field]);
            let ingress = Value::Bool(name == "ingress");
            let (scope, driver) = ("swarm".into(), "overlay".into());
            let expected = [
                &name.as_str().into(),
                &scope,
                &driver,
                &ingress,
                &Value::Bool(false),
            ];
            assert_eq!(read, expected, "{looked_at}");
            seen.extend(
                attached["Addresses"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(address),
            );
        }
    }
    assert_eq!(seen, own_addresses(host, &service));
    remove(host, &service, &network);
}

#[test]
fn a_verbose_look_shows_services_tasks_and_peers() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = labelled(host, &network, "18101:80");
    let look = |name: &str| -> Value {
        let shown = host.docker_ok(&["network", "inspect", "--verbose", name]);
        serde_json::from_str::<Value>(&shown).unwrap()[0].clone()
    };
    let shown = look(&network);
    assert_eq!(shown["Peers"].as_array().unwrap().len(), 1, "{shown}");
    assert_eq!(shown["Peers"][0]["IP"], host.address());
    let own = &shown["Services"][&service];
    let format = "{{json .Endpoint.VirtualIPs}}";
    let vips = host.docker_ok(&["service", "inspect", "--format", format, &service]);
    assert!(
        vips.contains(&format!("\"{}/", own["VIP"].as_str().unwrap())),
        "{own} {vips}"
    );
    let tasks = own["Tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 2, "{own}");
    let addresses = own_addresses(host, &service);
    for task in tasks {
        assert!(
            task["Name"].as_str().unwrap().starts_with(&service),
            "{task}"
        );
        assert!(
            addresses.contains(task["EndpointIP"].as_str().unwrap()),
            "{task}"
        );
        assert_eq!(task["Info"]["Host IP"], host.address());
        assert!(!task["EndpointID"].as_str().unwrap().is_empty());
    }
    assert_eq!(own["Ports"], serde_json::json!([]));
    let ports = &look("ingress")["Services"][&service]["Ports"];
    assert_eq!(*ports, serde_json::json!(["Target: 80, Publish: 18101"]));
    remove(host, &service, &network);
}

const CONFIG: &str = "global: {scrape_interval: 5s}\nscrape_configs:\n\
    - job_name: swarm\n  dockerswarm_sd_configs:\n  - {host: 'HOST', role: tasks, refresh_interval: 1s}\n";

/// Debian's own, on the host, with our socket as its source.
fn prometheus(host: &Host) -> Process {
    let config = CONFIG.replace("HOST", &format!("unix://{}", host.socket().display()));
    let config = host.write("prometheus.yml", config.as_bytes()).unwrap();
    let mut command = host.inside_command();
    command
        .args(["prometheus", "--web.listen-address=127.0.0.1:19090"])
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            host.files().join("prometheus").display()
        ));
    Process::start(&mut command, &host.files().join("prometheus.log")).unwrap()
}

/// Needs the package prometheus: contrib/test.sh installs it and runs this by name.
#[test]
#[ignore = "needs the package prometheus"]
fn prometheus_itself_finds_every_task() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let service = labelled(host, &network, "18102:80");
    let expected: BTreeSet<String> = own_addresses(host, &service)
        .iter()
        // Prometheus takes the published port.
        .map(|address| format!("{address}:18102"))
        .collect();
    let _prometheus = prometheus(host);
    let found = wait::until("the targets of Prometheus", SOON, || {
        let url = "http://127.0.0.1:19090/api/v1/targets";
        let output = host
            .inside(&["curl", "--silent", "--max-time", "3", url])
            .unwrap();
        let answer: Value =
            serde_json::from_str(&output.stdout).map_err(|error| error.to_string())?;
        let targets = answer["data"]["activeTargets"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let labels = targets
            .into_iter()
            .map(|target| target["discoveredLabels"].clone());
        let own: Vec<Value> = labels
            .filter(|labels| labels["__meta_dockerswarm_service_name"] == *service)
            .collect();
        let addresses = own
            .iter()
            .map(|labels| labels["__address__"].as_str().unwrap().to_owned());
        let addresses: BTreeSet<String> = addresses.collect();
        match addresses == expected {
            true => Ok(own),
            false => Err(format!("{own:?}, not {expected:?}")),
        }
    });
    let networks: BTreeSet<String> = found
        .unwrap()
        .iter()
        .map(|labels| {
            labels["__meta_dockerswarm_network_name"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        networks,
        BTreeSet::from(["ingress".to_owned(), network.clone()])
    );
    remove(host, &service, &network);
}
