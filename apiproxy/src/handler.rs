//! What answers the calls that are not the engine's alone.
//!
//! A call of ours is admitted by its version, read, decided by the node and shown by a view; each family of calls has a file.
//! What is checked before the gate (is this node a manager?) and what after it follows Docker, because clients see the
//! difference: content type, JSON, filter keys and `version` come first.

mod answer;
mod log;
mod node;
mod payload;
mod query;
mod report;
mod request;
mod service;
mod swarm;
mod task;

use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use swarmrs_node::Node;
use swarmrs_types::Fault;
use swarmrs_types::report::Flight;

use crate::error;
use crate::events::SwarmEvents;
use crate::forward::Engine;
use crate::merge;
use crate::route::{Class, Endpoint, Route};
use crate::server::{Api, Body, Reply, Traffic};
use crate::version::{Offers, check_age};

pub(crate) use answer::{done, json, nothing, ok};
pub(crate) use log::unix_nanos;
pub(crate) use query::{Query, parse_bool};
use request::Call;
pub(crate) use request::read;

/// The cluster's side of the API.
pub struct Handlers {
    pub(crate) node: Node,
    pub(crate) engine: Engine,
    pub(crate) offers: Offers,
    pub(crate) events: Arc<SwarmEvents>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Handlers {
    /// Handlers over a node, the engine's socket and what the swarm tells of itself.
    pub fn new(node: Node, engine: Engine, events: Arc<SwarmEvents>) -> Self {
        let offers = Offers::new(engine.clone());
        Self {
            node,
            engine,
            offers,
            events,
            traffic: Arc::default(),
        }
    }

    /// Answers a call of ours; one that may change something is kept in the flight recorder.
    async fn ours(&self, route: Route, request: Request<Incoming>) -> Response<Body> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        let (began, endpoint) = (Instant::now(), route.endpoint.clone());
        let response = self.judged(route, request).await;
        if let (false, Some(endpoint)) = (reads, endpoint) {
            let (call, object) = endpoint.told();
            self.node.recorder().note(&Flight::Write {
                call,
                object: object.to_owned(),
                status: response.status().as_u16(),
                millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        response
    }

    async fn judged(&self, route: Route, request: Request<Incoming>) -> Response<Body> {
        // Our own API is answered at once, also behind an engine that hangs.
        let offer = match route.endpoint {
            Some(Endpoint::Swarmrs { .. }) => self.offers.known(),
            _ => self.offers.current().await,
        };
        let asked = route.version;
        let answered = match (offer.admit(asked), route.endpoint.clone()) {
            (Ok(version), Some(endpoint)) => {
                let call = Call::new(version, &route, request);
                self.answer(endpoint, call).await
            }
            (Ok(_), None) => Err(Fault::not_built("this call")),
            (Err(fault), _) => Err(fault),
        };
        let mut response = answered.unwrap_or_else(|fault| error::answer(&fault, asked));
        offer.stamp(response.headers_mut());
        response
    }

    async fn answer(&self, endpoint: Endpoint, call: Call) -> Result<Response<Body>, Fault> {
        check_age(&endpoint, call.version)?;
        let node = &self.node;
        match endpoint {
            Endpoint::SwarmInspect => swarm::inspect(node).await,
            Endpoint::SwarmInit => swarm::init(node, call).await,
            Endpoint::SwarmJoin => swarm::join(node, call).await,
            Endpoint::SwarmLeave => swarm::leave(node, call).await,
            Endpoint::SwarmUpdate => swarm::update(node, call).await,
            Endpoint::SwarmUnlockKey => swarm::unlock_key(node).await,
            Endpoint::SwarmUnlock => swarm::unlock(node, call).await,
            Endpoint::NodeList => node::list(node, call).await,
            Endpoint::NodeInspect { id } => node::inspect(node, &id).await,
            Endpoint::NodeUpdate { id } => node::update(node, &id, call).await,
            Endpoint::NodeRemove { id } => node::remove(node, &id, call).await,
            Endpoint::ServiceList => service::list(node, call).await,
            Endpoint::ServiceCreate => service::create(node, &self.engine, call).await,
            Endpoint::ServiceInspect { id } => service::inspect(node, &id, call).await,
            Endpoint::ServiceUpdate { id } => service::update(node, &self.engine, &id, call).await,
            Endpoint::ServiceRemove { id } => service::remove(node, &id).await,
            Endpoint::ServiceLogs { id } => log::service(node, &id, call).await,
            Endpoint::TaskList => task::list(node, call).await,
            Endpoint::TaskInspect { id } => task::inspect(node, &id).await,
            Endpoint::TaskLogs { id } => log::task(node, &id, call).await,
            Endpoint::Swarmrs { method, path } => {
                report::answer(self, &method, &path, &call.query).await
            }
            payload => payload::answer(node, payload, call).await,
        }
    }
}

impl Api for Handlers {
    fn concerns(&self, route: &Route) -> bool {
        merge::concerns(&self.node, route)
    }

    fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    async fn call(&self, route: Route, request: Request<Incoming>) -> Reply {
        match route.class {
            Class::Ours => Reply::Answer(self.ours(route, request).await),
            Class::Merged | Class::Rewritten => merge::call(self, route, request).await,
            Class::Raw => Reply::Forward,
        }
    }
}
