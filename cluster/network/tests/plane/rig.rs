//! A host made for one test: a network namespace with a neighbour on its wire, and containers as the engine makes
//! them (a namespace of their own that the link is moved into).

use ipnet::IpNet;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;
use swarmrs_network::plane::{Config, Joined, Plane, Tag};
use swarmrs_types::endpoint::{Balanced, Endpoint, Fact, FactDiff, Overlay, Peer, Segment};
use swarmrs_types::id::{NetworkId, NodeId, RawId, ServiceId};
use swarmrs_types::spec::{PortConfig, Protocol, PublishMode};

/// Long enough for a busy machine, short enough for a test that waits for nothing to come.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The host's address on its wire, and its neighbour's.
pub const HOST: &str = "10.77.0.1";
pub const CLIENT: &str = "10.77.0.100";

pub struct Host {
    folder: tempfile::TempDir,
    pub tag: Tag,
    pub client: Space,
}

/// Runs a test on a host of its own.
pub fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce(Host) -> F + Send + 'static) {
    assert!(nix::unistd::geteuid().is_root(), "network tests need root");
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test(Host::new()));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Host {
    fn new() -> Host {
        let folder = tempfile::tempdir().unwrap();
        let tag = Tag::of(folder.path());
        let client = Space::new();
        // As a host is on which the engine has not yet allowed forwarding.
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        // No address of its own making that comes a second later.
        std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        ip("link set lo up");
        ip(&format!(
            "link add wire type veth peer name eth0 netns {}",
            client.path()
        ));
        ip(&format!("addr add {HOST}/24 dev wire"));
        ip("addr add fd77::1/64 dev wire nodad");
        ip("link set wire up");
        client.within(|| {
            ip("link set lo up");
            ip(&format!("addr add {CLIENT}/24 dev eth0"));
            ip("addr add fd77::100/64 dev eth0 nodad");
            ip("link set eth0 up");
        });
        Host {
            folder,
            tag,
            client,
        }
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("network")
    }

    pub async fn plane(&self) -> Plane {
        let config = Config {
            node: node(),
            tag: self.tag.clone(),
            folder: self.folder(),
            data_path: HOST.parse().unwrap(),
            data_path_port: 4789,
            underlay_mtu: None,
        };
        Plane::open(config).await.unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A test that failed leaves mounts behind.
        for entry in std::fs::read_dir(self.folder())
            .into_iter()
            .flatten()
            .flatten()
        {
            let _ = nix::mount::umount2(&entry.path(), nix::mount::MntFlags::MNT_DETACH);
        }
    }
}

/// A network namespace.
pub struct Space {
    file: File,
}

impl Space {
    pub fn new() -> Space {
        let open = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        let file = std::thread::scope(|scope| scope.spawn(open).join().unwrap());
        Space { file }
    }

    pub fn at(path: &Path) -> Space {
        Space {
            file: File::open(path).unwrap(),
        }
    }

    pub fn path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = || {
                setns(&self.file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            };
            scope.spawn(inside).join().unwrap()
        })
    }

    /// Answers each connection and datagram on a port with its address and the client's.
    pub fn serve(&self, own: IpAddr, port: u16) {
        self.serve_on([0, 0, 0, 0].into(), own, port);
    }

    pub fn serve_on(&self, any: IpAddr, own: IpAddr, port: u16) {
        let (tcp, udp) = self.within(|| {
            (
                TcpListener::bind((any, port)).unwrap(),
                UdpSocket::bind((any, port)).unwrap(),
            )
        });
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                std::thread::spawn(move || {
                    let from = stream.peer_addr().unwrap().ip();
                    let _ = writeln!(stream, "{own} {from}");
                    // The connection stays until the client leaves it; what it says is said back.
                    let mut buffer = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        if stream.write_all(&buffer[..length]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        std::thread::spawn(move || {
            let mut buffer = [0; 64];
            while let Ok((_, from)) = udp.recv_from(&mut buffer) {
                let _ = udp.send_to(format!("{own} {}", from.ip()).as_bytes(), from);
            }
        });
    }
}

pub fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// A container on one network.
pub struct Container {
    pub space: Space,
    pub address: IpAddr,
    pub joined: Joined,
}

/// Joins as the engine does: the link is moved in, renamed, addressed and routed.
pub async fn container(plane: &Plane, network: NetworkId, address: &str) -> Container {
    let (address, prefix) = address.split_once('/').unwrap();
    let joined = plane.join(network, address.parse().unwrap()).await.unwrap();
    let space = Space::new();
    ip(&format!(
        "link set {} netns {}",
        joined.source_name,
        space.path()
    ));
    space.within(|| {
        ip("link set lo up");
        ip(&format!("link set {} name eth0", joined.source_name));
        ip(&format!("addr add {address}/{prefix} dev eth0"));
        ip("link set eth0 up");
        for route in &joined.routes {
            match route.via {
                None => ip(&format!("route add {} dev eth0", route.destination)),
                Some(via) => ip(&format!("route add {} via {via}", route.destination)),
            };
        }
        if let Some(gateway) = joined.gateway {
            ip(&format!("route add default via {gateway}"));
        }
    });
    Container {
        space,
        address: address.parse().unwrap(),
        joined,
    }
}

impl Container {
    pub fn serve(&self, port: u16) {
        self.space.serve(self.address, port);
    }

    pub fn tcp(&self, to: &str) -> io::Result<String> {
        self.space.within(|| tcp(to))
    }

    pub fn udp(&self, to: &str) -> io::Result<String> {
        self.space.within(|| udp(to))
    }
}

/// A connection that was answered.
pub struct Connection {
    pub stream: TcpStream,
    pub answer: String,
}

pub fn connect(to: &str) -> io::Result<Connection> {
    let mut stream = TcpStream::connect_timeout(&to.parse().unwrap(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 && byte != *b"\n" {
        answer.push(byte[0].into());
    }
    Ok(Connection { stream, answer })
}

impl Connection {
    /// Says something and hears it again.
    pub fn echo(&mut self) -> io::Result<()> {
        self.stream.write_all(b"again")?;
        let mut heard = [0; 5];
        self.stream.read_exact(&mut heard)
    }
}

/// Asks by a connection: "server client".
pub fn tcp(to: &str) -> io::Result<String> {
    Ok(connect(to)?.answer)
}

/// Asks by a datagram.
pub fn udp(to: &str) -> io::Result<String> {
    let to: SocketAddr = to.parse().unwrap();
    let any: IpAddr = if to.is_ipv6() {
        IpAddr::from_str("::").unwrap()
    } else {
        [0, 0, 0, 0].into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    udp_from(&socket, to)
}

pub fn udp_from(socket: &UdpSocket, to: SocketAddr) -> io::Result<String> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(to)?;
    socket.send(b"?")?;
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Looks until it is as it should be; whoever looks says what it is meanwhile.
pub async fn soon(mut look: impl FnMut() -> Result<(), String>) {
    let end = std::time::Instant::now() + 10 * PATIENCE;
    while let Err(found) = look() {
        assert!(std::time::Instant::now() < end, "{found}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

pub fn server(answer: io::Result<String>) -> String {
    answer.unwrap().split(' ').next().unwrap().to_owned()
}

pub fn client(answer: io::Result<String>) -> String {
    answer.unwrap().split(' ').nth(1).unwrap().to_owned()
}

fn id(kind: &str, number: usize) -> RawId {
    format!("{kind}{number:0>width$}", width = 25 - kind.len())
        .parse()
        .unwrap()
}

pub fn node() -> NodeId {
    NodeId(id("node", 1))
}

pub fn network(number: usize) -> NetworkId {
    NetworkId(id("network", number))
}

pub fn service(number: usize) -> ServiceId {
    ServiceId(id("service", number))
}

pub fn owner(number: usize) -> RawId {
    id("task", number)
}

/// This node, with its address on the ingress network.
pub fn peer() -> Fact {
    Fact::Peer(Peer {
        node: node(),
        index: 1,
        data_path: HOST.parse().unwrap(),
        ingress: Some("10.0.0.2/24".parse().unwrap()),
    })
}

/// Network n: `10.0.n.0/24`, VXLAN number 4096 + n; number 0 is the ingress network.
pub fn overlay(number: usize) -> Overlay {
    Overlay {
        id: network(number),
        name: format!("net{number}"),
        segments: vec![Segment {
            subnet: format!("10.0.{number}.0/24").parse().unwrap(),
            gateway: format!("10.0.{number}.1").parse().unwrap(),
            vni: 4096 + number as u32,
        }],
        internal: false,
        ingress: number == 0,
        attachable: true,
        mtu: 0,
        encrypted: false,
        labels: Default::default(),
        options: Default::default(),
    }
}

/// Task `task` of a service on network n, at `10.0.n.<host>`, ready, with its way out there.
pub fn endpoint(number: usize, task: usize, of: usize, host: u8) -> Endpoint {
    Endpoint {
        network: network(number),
        owner: owner(task),
        node: node(),
        name: format!("web.{task}"),
        aliases: vec![],
        addresses: vec![format!("10.0.{number}.{host}/24").parse::<IpNet>().unwrap()],
        service: (of > 0).then(|| service(of)),
        ready: true,
        gateway: true,
        resolvers: Vec::new(),
        container: None,
    }
}

/// The same network with IPv6: `fd10:n::/64` beside its subnet.
pub fn both_families(number: usize) -> Overlay {
    let mut network = overlay(number);
    network.segments.push(Segment {
        subnet: format!("fd10:{number}::/64").parse().unwrap(),
        gateway: format!("fd10:{number}::1").parse().unwrap(),
        vni: 5000 + number as u32,
    });
    network
}

/// An endpoint there, at `fd10:n::<host>` too.
pub fn endpoint_of_both(number: usize, task: usize, of: usize, host: u8) -> Endpoint {
    let mut endpoint = endpoint(number, task, of, host);
    let address = format!("fd10:{number}::{host}/64").parse().unwrap();
    endpoint.addresses.push(address);
    endpoint
}

/// Its container.
pub async fn container_of_both(plane: &Plane, number: usize, host: u8) -> Container {
    let address = format!("10.0.{number}.{host}/24");
    let one = container(plane, network(number), &address).await;
    let gateway = one.joined.gateway_v6.unwrap();
    one.space.within(|| {
        ip(&format!("addr add fd10:{number}::{host}/64 dev eth0 nodad"));
        ip(&format!("route add default via {gateway}"));
    });
    one
}

/// Service `of` on network n, with a virtual address unless it is empty.
pub fn balanced(number: usize, of: usize, vip: &str, ports: &[(u32, u32)]) -> Balanced {
    let port = |protocol: Protocol, published: u32, target: u32| PortConfig {
        name: String::new(),
        protocol: Some(protocol),
        target_port: target,
        published_port: published,
        publish_mode: Some(PublishMode::Ingress),
    };
    let both = |(published, target): &(u32, u32)| {
        [Protocol::Tcp, Protocol::Udp].map(|protocol| port(protocol, *published, *target))
    };
    Balanced {
        network: network(number),
        service: service(of),
        name: format!("web{of}"),
        aliases: vec![],
        vip: (!vip.is_empty()).then(|| vip.parse().unwrap()),
        ports: ports.iter().flat_map(both).collect(),
    }
}

pub fn put(facts: impl IntoIterator<Item = Fact>) -> FactDiff {
    FactDiff {
        put: facts.into_iter().collect(),
        remove: vec![],
    }
}

pub fn without(keys: impl IntoIterator<Item = Fact>) -> FactDiff {
    FactDiff {
        put: vec![],
        remove: keys.into_iter().map(|fact| fact.key()).collect(),
    }
}
