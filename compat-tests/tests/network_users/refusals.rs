//! Bad input about networks: each is refused with its reason, and nothing is half made.

use serde_json::{Value, json};
use swarmrs_compat_tests::Host;
use swarmrs_compat_tests::observe::{wait_for_replicas, wait_until_gone};
use swarmrs_compat_tests::swarm::shared;
use swarmrs_compat_tests::testbed::IMAGE;
use swarmrs_compat_tests::web::{overlay, remove_network, sleeper};

use super::load::mounts;

/// A command, and what its error has to say.
type Row<'a> = (&'a str, &'a str);

/// What stands in the way.
const GROUND: [&str; 6] = [
    "network create --driver overlay --attachable --subnet 10.61.0.0/24 taken",
    "network create --driver overlay closed",
    "network create --driver overlay --attachable --subnet 10.64.0.0/29 tiny",
    "service create --detach --stop-signal KILL --name mesh --network taken --publish 18095:80 IMAGE sleep 600",
    "service create --detach --stop-signal KILL --name host --publish mode=host,published=18096,target=80 IMAGE sleep 600",
    "service create --detach --stop-signal KILL --name full --network tiny --replicas 3 IMAGE sleep 600",
];

const ROWS: &[Row] = &[
    // Subnets.
    (
        "network create -d overlay --subnet 10.61.0.128/25 x",
        "invalid network config: subnet 10.61.0.128/25 overlaps with subnet 10.61.0.0/24 of network taken",
    ),
    (
        "network create -d overlay --subnet 10.64.0.0/14 x",
        "subnet 10.64.0.0/14 overlaps with subnet 10.64.0.0/29 of network tiny",
    ),
    (
        "network create -d overlay --subnet 10.77.0.0/25 x",
        "subnet 10.77.0.0/25 overlaps with route 10.77.0.0/24 of node atlas",
    ),
    (
        "network create -d overlay --subnet 172.17.0.0/24 x",
        "subnet 172.17.0.0/24 overlaps with route 172.17.0.0/16 of node atlas",
    ),
    (
        "network create -d overlay --subnet 10.62.0.1/24 x",
        "invalid subnet 10.62.0.1/24: it should be 10.62.0.0/24",
    ),
    (
        "network create -d overlay --subnet 10.62.0.0/31 x",
        "invalid subnet 10.62.0.0/31: it has no address left for a container",
    ),
    (
        "network create -d overlay --subnet 10.62.0.0/32 x",
        "invalid subnet 10.62.0.0/32: it has no address left for a container",
    ),
    (
        "network create -d overlay --ipv6 x",
        "an IPv6 subnet has to be given for a network with IPv6",
    ),
    // The networks themselves.
    (
        "network create -d overlay --ingress x",
        ") is already present",
    ),
    (
        "network create -d overlay --ingress --attachable x",
        "ingress network cannot be attachable",
    ),
    (
        "network create -d overlay taken",
        "network with name taken already exists",
    ),
    (
        "network create -d overlay a.b",
        "name must be valid as a DNS name component",
    ),
    (
        "network create -d overlay --opt com.docker.network.driver.overlay.vxlanid_list=4096 x",
        "VXLAN id 4096 is in use by network ingress",
    ),
    (
        "network create -d overlay --opt com.docker.network.driver.overlay.vxlanid_list=no x",
        "invalid VXLAN id \"no\": a number from 1 to 16777215 is wanted",
    ),
    ("network rm taken", "is in use by service"),
    ("network rm tiny", "is in use by service"),
    ("network rm nothing", "No such network: nothing"),
    // Ports.
    (
        "service create --detach --publish 18095:80 IMAGE",
        "port '18095' is already in use by service 'mesh' (",
    ),
    (
        "service create --detach --publish mode=host,published=18095,target=80 IMAGE",
        "port '18095' is already in use by service 'mesh' (",
    ),
    (
        "service create --detach --publish 18096:80 IMAGE",
        ") as a host-published port",
    ),
    (
        "service create --detach --publish 18097:80 --publish 18097:81 IMAGE",
        "EndpointSpec: duplicate published ports provided",
    ),
    (
        "service create --detach --publish 18097:80 --publish mode=host,published=18097,target=80 IMAGE",
        "EndpointSpec: duplicate published ports provided",
    ),
    (
        "service create --detach --endpoint-mode dnsrr --publish 18097:80 IMAGE",
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ),
    (
        "service update --detach --publish-add 18095:81 host",
        "port '18095' is already in use by service 'mesh' (",
    ),
    (
        "service update --detach --endpoint-mode dnsrr mesh",
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
    ),
    // Services on networks.
    (
        "service create --detach --network nothing IMAGE",
        "No such network: nothing",
    ),
    (
        "service create --detach --network ingress IMAGE",
        "Service cannot be explicitly attached to the ingress network \"ingress\"",
    ),
    (
        "service create --detach --network tiny IMAGE",
        "could not find an available IP on network tiny: of 5 addresses in 10.64.0.0/29 5 are in use",
    ),
    (
        "service update --detach --network-add nothing mesh",
        "No such network: nothing",
    ),
    (
        "service update --detach --network-add tiny mesh",
        "could not find an available IP on network tiny: of 5 addresses in 10.64.0.0/29 5 are in use",
    ),
    // Containers on networks.
    (
        "run --network closed IMAGE true",
        "Could not attach to network closed: rpc error: code = PermissionDenied desc = network closed not manually attachable",
    ),
    (
        "run --network nothing IMAGE true",
        "Could not attach to network nothing: rpc error: code = NotFound desc = network nothing not found",
    ),
    (
        "run --network tiny IMAGE true",
        "could not find an available IP on network tiny: of 5 addresses in 10.64.0.0/29 5 are in use",
    ),
    (
        "run --network taken --ip 10.61.0.1 IMAGE true",
        "Address already in use",
    ),
    (
        "run --network taken --ip 10.61.0.2 IMAGE true",
        "Address already in use",
    ),
    (
        "run --network taken --ip 10.61.0.255 IMAGE true",
        "Address already in use",
    ),
    (
        "run --network taken --ip 10.62.0.9 IMAGE true",
        "Requested address 10.62.0.9 is not in any subnet of network taken",
    ),
    (
        "run --network taken --ip nonsense IMAGE true",
        "invalid IP address: nonsense",
    ),
    (
        "network connect closed by",
        "network closed not manually attachable",
    ),
    ("network connect nothing by", "network nothing not found"),
    ("network connect taken nobody", "No such container: nobody"),
    (
        "network disconnect taken by",
        "is not connected to network taken",
    ),
];

/// Bodies of `POST /networks/create` that the stock command would not send.
fn bodies() -> Vec<(Value, &'static str)> {
    let with =
        |config: Value| json!({"Name": "x", "Driver": "overlay", "IPAM": {"Config": [config]}});
    let twice = json!([{"Subnet": "10.62.0.0/24"}, {"Subnet": "10.62.0.0/25"}]);
    vec![
        (
            with(json!({"Subnet": "nonsense"})),
            "invalid subnet nonsense: invalid CIDR block notation",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "Gateway": "10.63.0.1"})),
            "invalid gateway 10.63.0.1: parent subnet 10.62.0.0/24 doesn't contain this address",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "Gateway": "fd00::1"})),
            "invalid gateway fd00::1: parent subnet is an IPv4 block",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "Gateway": "10.62.0.0"})),
            "invalid gateway 10.62.0.0: it is the address of subnet 10.62.0.0/24 itself",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "Gateway": "10.62.0.255"})),
            "invalid gateway 10.62.0.255: it is the broadcast address of subnet 10.62.0.0/24",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "IPRange": "10.63.0.0/25"})),
            "invalid ip-range 10.63.0.0/25: parent subnet 10.62.0.0/24 doesn't contain ip-range",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "IPRange": "10.62.0.0/16"})),
            "invalid ip-range 10.62.0.0/16: CIDR block is bigger than its parent subnet 10.62.0.0/24",
        ),
        (
            with(json!({"Subnet": "10.62.0.0/24", "IPRange": "10.62.0.1/25"})),
            "invalid ip-range 10.62.0.1/25: it should be 10.62.0.0/25",
        ),
        (
            json!({"Name": "x", "Driver": "overlay", "IPAM": {"Config": twice}}),
            "subnet 10.62.0.0/25 overlaps with subnet 10.62.0.0/24 of the same network",
        ),
        (
            json!({"Name": "x", "Driver": "overlay", "EnableIPv4": false}),
            "",
        ),
        (
            json!({"Name": "", "Driver": "overlay"}),
            "invalid name: name is empty",
        ),
        (
            json!({"Name": "x", "Driver": "nonsense", "Scope": "swarm"}),
            "nonsense",
        ),
        (
            json!({"Name": 7}),
            "json: cannot unmarshal number into Go struct field NetworkCreateRequest.Name of type string",
        ),
    ]
}

/// What the engine's own user may ask of our driver, past us: options, and what the refusal says.
const FOREIGN: [(&str, &str); 3] = [
    (
        "other=1",
        "networks of this driver are made by swarmrs alone: the option swarmrs.network is missing",
    ),
    (
        "swarmrs.network=nonsense",
        "the option swarmrs.network names no swarm network: \"nonsense\"",
    ),
    (
        "swarmrs.network=0123456789abcdefghijklmno",
        "this node was told of no swarm network 0123456789abcdefghijklmno",
    ),
];

fn words(line: &str) -> Vec<&str> {
    let word = |word| if word == "IMAGE" { IMAGE } else { word };
    line.split_whitespace().map(word).collect()
}

/// Everything that a request could leave behind.
fn standing(host: &Host) -> Vec<String> {
    let lists: [&[&str]; 3] = [
        &[
            "network",
            "ls",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.Name}} {{.Driver}}",
        ],
        &["service", "ls", "--format", "{{.ID}} {{.Name}} {{.Ports}}"],
        &[
            "ps",
            "--all",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.Names}}",
        ],
    ];
    let mut all: Vec<String> = lists.iter().map(|list| host.docker_ok(list)).collect();
    let engine = host.engine_docker(&[
        "network",
        "ls",
        "--no-trunc",
        "--format",
        "{{.ID}} {{.Name}}",
    ]);
    all.push(engine.unwrap().success().unwrap().to_owned());
    all.push(host.docker_ok(&["service", "inspect", "mesh", "host", "full"]));
    all
}

fn lay_ground(host: &Host) {
    for line in GROUND {
        host.docker_ok(&words(line));
    }
    for (service, replicas) in [("mesh", "1/1"), ("host", "1/1"), ("full", "3/3")] {
        wait_for_replicas(host, service, replicas).unwrap();
    }
    host.docker_ok(&words(
        "run --detach --name by --network tiny IMAGE sleep 600",
    ));
}

fn clear_ground(host: &Host) {
    host.docker_ok(&["rm", "--force", "by"]);
    host.docker_ok(&["service", "rm", "mesh", "host", "full"]);
    for service in ["mesh", "host", "full"] {
        wait_until_gone(host, service).unwrap();
    }
    for network in ["taken", "closed", "tiny"] {
        remove_network(host, network);
    }
}

/// The engine's name for our driver.
fn driver(host: &Host) -> String {
    let networks = host
        .engine_api("GET", "/networks", None)
        .unwrap()
        .success()
        .unwrap();
    let mut networks = networks.as_array().unwrap().iter();
    let twin = networks.find(|one| one["Name"] == "tiny").unwrap();
    twin["Driver"].as_str().unwrap().to_owned()
}

/// What a command, or a body, is not refused with as it should be.
fn unlike(host: &Host) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, text) in ROWS {
        let output = host.docker(&words(line)).unwrap();
        if output.status == 0 || !output.stderr.contains(text) {
            wrong.push(format!("{line}: exit {} {}", output.status, output.stderr));
        }
    }
    for (body, text) in bodies() {
        let answer = host
            .api("POST", "/v1.41/networks/create", Some(&body))
            .unwrap();
        if answer.status < 400 || !answer.message().contains(text) {
            wrong.push(format!(
                "{body}: status {} {}",
                answer.status,
                answer.text()
            ));
        }
    }
    let driver = driver(host);
    for (option, text) in FOREIGN {
        let create = [
            "network", "create", "--driver", &driver, "--opt", option, "foreign",
        ];
        let output = host.engine_docker(&create).unwrap();
        if output.status == 0 || !output.stderr.contains(text) {
            wrong.push(format!(
                "{option}: exit {} {}",
                output.status, output.stderr
            ));
        }
    }
    wrong
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_half_made() {
    let testbed = shared();
    let host = testbed.host(0);
    lay_ground(host);
    let before = standing(host);
    let wrong = unlike(host);
    println!("{} refusals", ROWS.len() + bodies().len() + FOREIGN.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(standing(host), before);
    clear_ground(host);
}

#[test]
fn nonsense_that_is_asked_of_the_name_server_disturbs_nobody() {
    let testbed = shared();
    let host = testbed.host(0);
    let network = overlay(host, &[]);
    let flags = mounts();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let name = sleeper(host, &network, &flags);
    for nonsense in [
        "printf x | /load say udp 169.254.77.53:53",
        "head -c 4000 /dev/urandom | /load say udp 169.254.77.53:53",
        "printf '\\0\\1\\1\\0\\0\\377\\0\\0\\0\\0\\0\\0\\300\\014' | /load say udp 169.254.77.53:53",
        "printf '\\377\\377' | nc -w 1 169.254.77.53 53",
        "head -c 70000 /dev/urandom | nc -w 1 169.254.77.53 53",
    ] {
        // Whether there is an answer is the server's choice.
        let asked = host.docker(&["exec", &name, "sh", "-c", nonsense]).unwrap();
        assert!(asked.status < 125, "{asked:?}");
        let answer = host.docker_ok(&["exec", &name, "nslookup", &name, "169.254.77.53"]);
        assert!(answer.contains("Name:"), "after {nonsense}: {answer}");
    }
    host.docker_ok(&["rm", "--force", &name]);
    remove_network(host, &network);
}

#[test]
fn pools_that_are_used_up_are_told_with_the_numbers() {
    let testbed = shared();
    let host = testbed.host(0);
    host.docker_ok(&["swarm", "leave", "--force"]);
    let init = ["swarm", "init", "--advertise-addr", host.address()];
    let pool = [
        "--default-addr-pool",
        "10.210.0.0/23",
        "--default-addr-pool-mask-length",
        "24",
    ];
    host.docker_ok(&[&init[..], &pool].concat());
    let create = ["network", "create", "--driver", "overlay"];
    host.docker_ok(&[&create[..], &["last"]].concat());
    let output = host.docker(&[&create[..], &["beyond"]].concat()).unwrap();
    let told =
        "none of the 2 subnets of /24 in 10.210.0.0/23 is free (2 networks, 0 routes of nodes)";
    assert!(output.stderr.contains(told), "{output:?}");
    host.docker_ok(&["swarm", "leave", "--force"]);
}
