//! The data plane of one node: what the facts say becomes links, addresses and rules of the kernel.
//!
//! ```text
//!   FactDiff ──Desired──▶ what each network is to hold ──diff──▶ netlink: links, neighbours, rules
//! ```
//!
//! One thread owns it all ([`worker`]) and does one thing at a time; the asynchronous side only waits for
//! its answers. What is programmed lives in the kernel and outlives this process: a later [`Plane::open`]
//! finds it and takes it over without a packet lost.

mod drained;
mod host;
mod network;
mod news;
mod tag;
mod worker;

pub use tag::Tag;

pub use crate::error::Error;
use crate::port::{BoundPort, HostPort};
use ipnet::IpNet;
use news::News;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::id::{NetworkId, NodeId, RawId};
use tokio::sync::oneshot;
use worker::{Job, Worker};

/// Where our names are answered in every network's namespace.
pub const NAME_SERVER: IpAddr = IpAddr::V4(crate::dns::ADDRESS);

/// What a plane is opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which node this is among the facts.
    pub node: NodeId,
    /// Keeps its names apart from those of other daemons on the host.
    pub tag: Tag,
    /// Where network namespaces are mounted and what the host was like before us is kept; it must not outlive a
    /// reboot of the host, so it lies below the exec root.
    pub folder: PathBuf,
    /// This node's address for VXLAN frames.
    pub data_path: IpAddr,
    pub data_path_port: u16,
    /// None: that of the link which has `data_path`.
    pub underlay_mtu: Option<u32>,
}

/// What the engine is to do with a container's new link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The link's name on the host, from where the engine moves it into the container.
    pub source_name: String,
    pub mac: [u8; 6],
    /// The container's default routes, if its way out is through this network.
    pub gateway: Option<IpAddr>,
    pub gateway_v6: Option<IpAddr>,
    /// To be had in the container over this link: directly, or over a router.
    pub routes: Vec<Route>,
    /// The engine is not to add a way out of its own.
    pub disable_gateway_service: bool,
}

/// A route in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    pub destination: IpNet,
    /// None: on the link itself.
    pub via: Option<IpAddr>,
}

/// The data plane of this node. Dropping it leaves the kernel as it is; see [`Plane::clear`].
///
/// Its methods may be called at once; they are carried out one after another in the order of the calls.
pub struct Plane {
    jobs: std::sync::mpsc::Sender<Job>,
    folder: PathBuf,
    warnings: Arc<RwLock<Vec<String>>>,
    /// None: the kernel does not tell of rules.
    _news: Option<News>,
}

impl Plane {
    /// A plane over what an earlier one left in the kernel. Nothing there is touched before the first
    /// [`Plane::tell`]; an adopter publishes the ports it knows of and then tells the complete facts.
    ///
    /// # Errors
    /// Without the right to program the kernel, or a kernel without nf_tables.
    pub async fn open(config: Config) -> Result<Plane, Error> {
        let folder = config.folder.clone();
        let warnings = Arc::default();
        let worker = Worker::open(config, Arc::clone(&warnings))?;
        let (tag, own) = worker.known_as();
        let jobs = worker.start()?;
        let news = own.and_then(|own| News::listen(tag, own, jobs.clone()));
        let news = news
            .inspect_err(|error| tracing::warn!(%error, "changes of the host's rules by others are noticed late"))
            .ok();
        Ok(Plane {
            jobs,
            folder,
            warnings,
            _news: news,
        })
    }

    /// Takes facts over; on return they are in force. Cost follows the difference. What fails for one
    /// network does not keep the others from being programmed, is the error, and is tried again
    /// with each later call.
    pub async fn tell(&self, diff: &FactDiff, complete: bool) -> Result<(), Error> {
        let diff = diff.clone();
        self.run(move |worker| worker.tell(&diff, complete)).await
    }

    /// Makes the link of the container that has the address, with its guard. A link of that address that
    /// an earlier container left is replaced.
    pub async fn join(&self, network: NetworkId, address: IpAddr) -> Result<Joined, Error> {
        self.run(move |worker| worker.join(network, address)).await
    }

    /// Takes the container's link and guard away; no error if there is none.
    pub async fn leave(&self, network: NetworkId, address: IpAddr) -> Result<(), Error> {
        self.run(move |worker| worker.leave(network, address)).await
    }

    /// Addresses of the containers that have a link on the network, as the kernel has it.
    pub async fn present(&self, network: NetworkId) -> Result<Vec<IpAddr>, Error> {
        self.run(move |worker| worker.present(network)).await
    }

    /// Leads ports of the host to a container; all of them or none.
    ///
    /// # Errors
    /// Docker's text for a port that another container or a process of the host has.
    pub async fn publish(
        &self,
        network: NetworkId,
        address: IpAddr,
        ports: &[HostPort],
    ) -> Result<Vec<BoundPort>, Error> {
        let ports = ports.to_vec();
        self.run(move |worker| worker.publish(network, address, &ports))
            .await
    }

    /// Gives a container's ports back; no error if it has none.
    pub async fn revoke(&self, network: NetworkId, address: IpAddr) -> Result<(), Error> {
        self.run(move |worker| worker.revoke(network, address))
            .await
    }

    /// All ports that lead to containers.
    pub async fn ports(&self) -> Result<Vec<BoundPort>, Error> {
        self.run(|worker| Ok(worker.ports())).await
    }

    /// How many flows that a virtual address or a published port led to the owner live.
    pub async fn flows(&self, network: NetworkId, owner: RawId) -> Result<usize, Error> {
        self.run(move |worker| worker.live_flows(network, owner))
            .await
    }

    /// Cuts the flows that were led to the owner: their clients are reset by the next packet. The owner is to be out of
    /// the balance (not ready) before, or it gets new ones.
    pub async fn reset(&self, network: NetworkId, owner: RawId) -> Result<(), Error> {
        self.run(move |worker| worker.reset(network, owner)).await
    }

    /// Where sockets of the network are opened; it exists once a fact tells of the network.
    pub fn namespace(&self, network: NetworkId) -> Option<PathBuf> {
        let path = self.folder.join(network.to_string());
        path.exists().then_some(path)
    }

    /// What is wrong, or worth a look, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.read();
        warnings.map(|list| list.clone()).unwrap_or_default()
    }

    /// Takes everything of ours out of the kernel; nothing of it is left.
    pub async fn clear(&self) -> Result<(), Error> {
        self.run(Worker::clear).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            // The asker may have gone; the work is done all the same.
            let _ = answer.send(job(worker));
        });
        self.jobs.send(job).map_err(|_| Error::Ended)?;
        result.await.map_err(|_| Error::Ended)?
    }
}
