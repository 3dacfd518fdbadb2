//! Networks told to a plane that a test holds back.

use super::fixture::{endpoint, network, network_id, owner};
use super::*;
use async_trait::async_trait;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use swarmrs_network::Error;
use swarmrs_types::endpoint::Fact;

/// Writes down what it is told, unless it is away.
#[derive(Default)]
struct Fake {
    away: AtomicBool,
    told: Mutex<Vec<(usize, bool)>>,
    drained: Mutex<Vec<(NetworkId, Duration)>>,
}

impl Fake {
    fn told(&self) -> Vec<(usize, bool)> {
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl Plane for Fake {
    async fn tell(&self, diff: FactDiff, complete: bool) -> Result<(), Error> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Error::Refused("away".to_owned()));
        }
        self.told.lock().unwrap().push((diff.put.len(), complete));
        Ok(())
    }

    async fn drain(&self, network: NetworkId, _: RawId, limit: Duration) -> Result<(), Error> {
        self.drained.lock().unwrap().push((network, limit));
        Ok(())
    }

    async fn ports(&self) -> Result<Vec<BoundPort>, Error> {
        Err(Error::Refused("away".to_owned()))
    }

    async fn warnings(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    async fn clear(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Networks over a fake, without an engine; they serve until the end of the test.
fn networks() -> (Arc<Networks>, Arc<Fake>) {
    let plane = Arc::new(Fake::default());
    let engine = Engine::connect(Path::new("/nowhere/engine.sock"));
    let networks = Arc::new(Networks::new(engine, "swarmrs".to_owned(), plane.clone()));
    tokio::spawn(networks.clone().serve());
    (networks, plane)
}

fn task(n: u8) -> FactDiff {
    let address = format!("10.0.1.{n}/24");
    FactDiff {
        put: vec![
            Fact::Network(network(1, "web")),
            Fact::Endpoint(endpoint(1, n, &address)),
        ],
        remove: Vec::new(),
    }
}

#[tokio::test]
async fn facts_are_in_force_when_they_have_been_told() {
    let (networks, plane) = networks();
    networks.tell(task(7), true).await;
    networks.tell(FactDiff::default(), false).await;
    networks.tell(task(8), false).await;
    assert_eq!(plane.told(), [(2, true), (2, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_plane_that_is_away_holds_tasks_up_for_a_moment_and_is_told_everything_later() {
    let (networks, plane) = networks();
    networks.tell(task(7), true).await;
    plane.away.store(true, Ordering::Relaxed);
    let asked = tokio::time::Instant::now();
    networks.tell(task(8), false).await;
    assert_eq!(asked.elapsed(), PATIENCE);
    let links = networks.links(owner(8), &[network_id(1)]).await;
    assert!(matches!(links, Err(Unready::NotInForce)));
    plane.away.store(false, Ordering::Relaxed);
    let found = networks.await_endpoint(network_id(1), owner(8), Duration::from_secs(5));
    assert!(found.await.is_some());
    assert_eq!(plane.told(), [(2, true), (3, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_for_all_networks_that_it_is_to_be_on() {
    let (networks, _) = networks();
    networks.tell(task(7), true).await;
    let links = networks
        .links(owner(7), &[network_id(1), network_id(2)])
        .await;
    assert!(matches!(links, Err(Unready::Untold(id)) if id == network_id(2)));
    let nothing = networks.links(owner(9), &[]).await;
    assert!(nothing.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_comes_is_given_up() {
    let (networks, _) = networks();
    networks.tell(task(7), true).await;
    let limit = Duration::from_secs(20);
    let found = networks
        .await_endpoint(network_id(1), owner(9), limit)
        .await;
    assert_eq!(found, None);
    let found = networks
        .await_endpoint(network_id(1), owner(7), limit)
        .await;
    assert_eq!(found.unwrap().1.owner, owner(7));
}

#[tokio::test]
async fn a_task_is_drained_on_each_of_its_networks() {
    let (networks, plane) = networks();
    networks.tell(task(7), true).await;
    let limit = Duration::from_secs(2);
    networks.drain(owner(7), limit).await;
    networks.drain(owner(9), limit).await;
    assert_eq!(*plane.drained.lock().unwrap(), [(network_id(1), limit)]);
    assert!(networks.ports().await.is_empty());
}
