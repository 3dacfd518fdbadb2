//! A holder in this process, with a carrier that only notes what it is asked for.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use swarmrs_network::holder::carrier::{Carrier, Opener, Settings};
use swarmrs_network::holder::control::{Call, Reply, Request};
use swarmrs_network::holder::{self, Config, Error, frame};
use swarmrs_network::plane::{Joined, Route};
use swarmrs_network::port::{BoundPort, HostPort};
use swarmrs_types::endpoint::{Endpoint, Fact, FactDiff, Overlay, Segment};
use swarmrs_types::id::{NetworkId, NodeId, RawId};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

/// What is left in the "kernel" when a holder ends.
#[derive(Default)]
pub struct Kernel {
    /// Everything asked for, in order.
    pub calls: Vec<String>,
    /// What the next publication is refused with.
    pub refuse: Option<String>,
    pub flows: usize,
}

#[derive(Clone, Default)]
pub struct Fake(pub Arc<Mutex<Kernel>>);

impl Fake {
    pub fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.0.lock().unwrap()
    }

    /// What was asked for since the last time.
    pub fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.kernel().calls)
    }

    fn note(&self, call: String) {
        self.kernel().calls.push(call);
    }
}

#[async_trait]
impl Opener for Fake {
    async fn open(&self, _: &Settings) -> Result<Box<dyn Carrier>, String> {
        self.note("open".to_owned());
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Carrier for Fake {
    async fn tell(&mut self, diff: &FactDiff, complete: bool) -> Result<(), String> {
        let (put, gone) = (diff.put.len(), diff.remove.len());
        self.note(format!("tell +{put} -{gone} complete={complete}"));
        Ok(())
    }

    fn mac(&self, _: NetworkId, address: IpAddr) -> String {
        match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
            }
            IpAddr::V6(_) => "02:42:00:00:00:06".to_owned(),
        }
    }

    async fn join(&mut self, _: NetworkId, address: IpAddr) -> Result<Joined, String> {
        self.note(format!("join {address}"));
        Ok(Joined {
            source_name: "veth5".to_owned(),
            mac: [2, 0x42, 10, 0, 1, 5],
            gateway: Some(IpAddr::from([10, 0, 1, 1])),
            gateway_v6: None,
            routes: vec![
                Route {
                    destination: "169.254.77.53/32".parse().unwrap(),
                    via: None,
                },
                Route {
                    destination: "10.0.2.0/24".parse().unwrap(),
                    via: Some(IpAddr::from([10, 0, 1, 1])),
                },
            ],
            disable_gateway_service: false,
        })
    }

    async fn leave(&mut self, _: NetworkId, address: IpAddr) -> Result<(), String> {
        self.note(format!("leave {address}"));
        Ok(())
    }

    async fn publish(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, String> {
        if let Some(refusal) = self.kernel().refuse.take() {
            return Err(refusal);
        }
        let bound = |port: &HostPort| BoundPort {
            network,
            address,
            protocol: port.protocol.clone(),
            port: port.port,
            host_ip: port.host_ip,
            host_port: if port.host_port == 0 {
                32_768
            } else {
                port.host_port
            },
        };
        let bound: Vec<BoundPort> = ports.iter().map(bound).collect();
        let numbers: Vec<u16> = bound.iter().map(|one| one.host_port).collect();
        self.note(format!("publish {address} {numbers:?}"));
        Ok(bound)
    }

    async fn revoke(&mut self, _: NetworkId, address: IpAddr) -> Result<(), String> {
        self.note(format!("revoke {address}"));
        Ok(())
    }

    async fn flows(&mut self, _: NetworkId, _: RawId) -> Result<usize, String> {
        Ok(self.kernel().flows)
    }

    async fn reset(&mut self, _: NetworkId, _: RawId) -> Result<(), String> {
        self.note("reset".to_owned());
        Ok(())
    }

    fn namespace(&self, _: NetworkId) -> Option<PathBuf> {
        None
    }

    fn warnings(&self) -> Vec<String> {
        vec!["the VNI 4097 is taken".to_owned()]
    }

    async fn clear(&mut self) -> Result<(), String> {
        self.note("clear".to_owned());
        Ok(())
    }
}

/// A holder with folders of its own.
pub struct Rig {
    pub root: TempDir,
    pub fake: Fake,
    pub config: Config,
    running: Option<JoinHandle<Result<(), Error>>>,
}

impl Rig {
    /// Started, and told the [`settings`] and the [`facts`].
    pub async fn told() -> Self {
        let mut rig = Self::empty();
        rig.start().await;
        rig.attend().await;
        let told = rig.tell(facts(), true).await;
        assert!(matches!(told, Reply::Done), "{told:?}");
        rig.fake.taken();
        rig
    }

    pub fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::new(root.path().join("exec"), root.path().join("data"));
        config.driver_socket = root.path().join("plugins/swarmrs.sock");
        Rig {
            root,
            fake: Fake::default(),
            config,
            running: None,
        }
    }

    pub async fn start(&mut self) {
        let opener = Box::new(self.fake.clone());
        let config = self.config.clone();
        self.running = Some(tokio::spawn(holder::run_with(config, opener)));
        for socket in [self.config.socket(), self.config.driver_socket.clone()] {
            for _ in 0..500 {
                if UnixStream::connect(&socket).await.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// As by SIGKILL: nothing is said or written any more.
    pub async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }

    /// Waits for its own end.
    pub async fn ended(&mut self) -> Result<(), Error> {
        let running = self.running.take().unwrap();
        tokio::time::timeout(Duration::from_secs(5), running)
            .await
            .expect("the holder's end")
            .unwrap()
    }

    pub async fn control(&self, call: Call) -> Reply {
        let mut stream = UnixStream::connect(self.config.socket()).await.unwrap();
        frame::send(&mut stream, &Request::of(call)).await.unwrap();
        frame::receive(&mut stream).await.unwrap()
    }

    /// The connection is the daemon's: it ends with the holder.
    pub async fn attend(&self) -> UnixStream {
        let mut stream = UnixStream::connect(self.config.socket()).await.unwrap();
        let call = Request::of(Call::Attend(settings()));
        frame::send(&mut stream, &call).await.unwrap();
        let reply: Reply = frame::receive(&mut stream).await.unwrap();
        assert!(matches!(reply, Reply::Attended { .. }), "{reply:?}");
        stream
    }

    pub async fn tell(&self, put: Vec<Fact>, complete: bool) -> Reply {
        let diff = FactDiff {
            put,
            remove: Vec::new(),
        };
        self.control(Call::Tell { diff, complete }).await
    }

    /// A call of the engine, as it writes it: the host is empty.
    pub async fn call(&self, name: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let (head, body) = self.raw(name, &body).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn raw(&self, name: &str, body: &str) -> (String, String) {
        let mut stream = UnixStream::connect(&self.config.driver_socket)
            .await
            .unwrap();
        let length = body.len();
        let request = format!(
            "POST /{name} HTTP/1.1\r\nHost: \r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    /// What is in the driver's file.
    pub fn book(&self) -> Value {
        let bytes = std::fs::read(self.config.state().join("driver.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Makes `net1` known and an endpoint on it with the address 10.0.1.5.
    pub async fn endpoint(&self) {
        let made = self
            .call("NetworkDriver.CreateNetwork", &create_network())
            .await;
        assert_eq!(made, json!({}));
        let made = self
            .call("NetworkDriver.CreateEndpoint", &create_endpoint("ep1"))
            .await;
        assert_eq!(
            made,
            json!({"Interface": {"MacAddress": "02:42:0a:00:01:05"}})
        );
    }
}

pub fn node() -> NodeId {
    "0123456789abcdefghijklmno".parse().unwrap()
}

pub fn network() -> NetworkId {
    "n000000000000000000000001".parse().unwrap()
}

pub fn owner() -> RawId {
    "t000000000000000000000005".parse().unwrap()
}

pub fn settings() -> Settings {
    Settings {
        node: node(),
        data_path: IpAddr::from([192, 0, 2, 1]),
        data_path_port: 4789,
    }
}

pub fn overlay() -> Overlay {
    Overlay {
        id: network(),
        name: "front".to_owned(),
        segments: vec![Segment {
            subnet: "10.0.1.0/24".parse().unwrap(),
            gateway: IpAddr::from([10, 0, 1, 1]),
            vni: 4097,
        }],
        internal: false,
        ingress: false,
        attachable: true,
        mtu: 0,
        encrypted: false,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    }
}

pub fn endpoint(last: u8) -> Endpoint {
    Endpoint {
        network: network(),
        owner: format!("t{last:024}").parse().unwrap(),
        node: node(),
        name: format!("web.{last}"),
        aliases: Vec::new(),
        addresses: vec![format!("10.0.1.{last}/24").parse().unwrap()],
        service: None,
        ready: true,
        gateway: true,
        resolvers: Vec::new(),
        container: None,
    }
}

pub fn facts() -> Vec<Fact> {
    vec![Fact::Network(overlay()), Fact::Endpoint(endpoint(5))]
}

pub fn create_network() -> Value {
    json!({
        "NetworkID": "net1",
        "Options": {
            "com.docker.network.enable_ipv6": false,
            "com.docker.network.generic": {"swarmrs.network": network().as_str()}
        },
        "IPv4Data": [{"AddressSpace": "LocalDefault", "Gateway": "10.0.1.1/24", "Pool": "10.0.1.0/24"}],
        "IPv6Data": []
    })
}

pub fn create_endpoint(id: &str) -> Value {
    json!({
        "NetworkID": "net1", "EndpointID": id,
        "Interface": {"Address": "10.0.1.5/24", "AddressIPv6": "", "MacAddress": ""},
        "Options": {"com.docker.network.endpoint.exposedports": []}
    })
}

pub fn of(id: &str) -> Value {
    json!({"NetworkID": "net1", "EndpointID": id})
}
