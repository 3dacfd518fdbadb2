//! Networks told to a plane that a test holds back.

use super::fixture::{endpoint, network, network_id, owner};
use super::*;
use crate::mock::MockEngine;
use async_trait::async_trait;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use swarmrs_network::Error;
use swarmrs_types::endpoint::Fact;
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, ResponseTemplate};

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

/// The twin as its engine lists it.
fn twin(n: u8, id: &str) -> Value {
    let label = network_id(n).to_string();
    json!({"Id": id, "Name": format!("n{n}"), "Labels": {label::TWIN: label}})
}

/// Networks 1 and 2 of an engine that has the twin of 1, finds none by inspecting, and makes networks slowly.
async fn with_engine() -> (Arc<Networks>, MockEngine) {
    let mock = MockEngine::start().await;
    let answer = |status, body: Value| ResponseTemplate::new(status).set_body_json(body);
    let made = answer(201, json!({"Id": "e2"})).set_delay(SLOW);
    let here = |at: &str| path(format!("/v1.41/networks{at}"));
    for (verb, at, answer) in [
        ("GET", "", answer(200, json!([twin(1, "e1")]))),
        ("POST", "/create", made),
        ("DELETE", "/e1", ResponseTemplate::new(204)),
    ] {
        let given = Mock::given(method(verb)).and(here(at));
        given.respond_with(answer).mount(&mock.server).await;
    }
    let gone = answer(404, json!({"message": "no such network"}));
    let inspected = Mock::given(method("GET")).and(path_regex("^/v1.41/networks/"));
    inspected.respond_with(gone).mount(&mock.server).await;
    let plane = Arc::new(Fake::default());
    let networks = Networks::new(mock.engine.clone(), "swarmrs".to_owned(), plane);
    (Arc::new(networks), mock)
}

const SLOW: Duration = Duration::from_millis(400);

async fn asked(mock: &MockEngine, verb: &str) -> Vec<String> {
    let all = mock.server.received_requests().await.unwrap();
    let all = all.iter().filter(|one| one.method.as_str() == verb);
    all.map(|one| one.url.path().to_owned()).collect()
}

#[tokio::test]
async fn a_network_that_is_wanted_again_while_another_is_made_stays_in_the_engine() {
    let (networks, mock) = with_engine().await;
    let first = Fact::Network(network(1, "n1"));
    let without = FactDiff {
        put: Vec::new(),
        remove: vec![first.key()],
    };
    let with = FactDiff {
        put: vec![first, Fact::Network(network(2, "n2"))],
        remove: Vec::new(),
    };
    tokio::spawn(networks.clone().serve());
    networks.tell(with.clone(), true).await;
    let making = tokio::spawn({
        let networks = networks.clone();
        async move { networks.ensure(&network(2, "n2"), &[]).await.unwrap() }
    });
    tokio::time::sleep(SLOW / 4).await;
    networks.tell(without, false).await;
    tokio::time::sleep(SLOW / 4).await;
    networks.tell(with, false).await;
    assert_eq!(making.await.unwrap().id, "e2");
    tokio::time::sleep(SLOW / 4).await;
    assert_eq!(asked(&mock, "DELETE").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_twin_that_the_engine_has_just_listed_is_not_asked_for_again() {
    let (networks, mock) = with_engine().await;
    let listed = [twin(1, "e1")];
    let found = networks.ensure(&network(1, "n1"), &listed).await.unwrap();
    assert_eq!(found.id, "e1");
    let former = [twin(1, "e0")];
    let made = networks.ensure(&network(1, "n1"), &former).await.unwrap();
    assert_eq!(made.id, "e2");
    let asked = asked(&mock, "GET").await;
    let asked: Vec<&str> = asked
        .iter()
        .map(|at| at.trim_start_matches("/v1.41"))
        .collect();
    assert_eq!(asked, ["/version", "/networks", "/networks/e1"]);
}
