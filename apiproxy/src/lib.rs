//! The Engine API in front of a node's stock engine.
//!
//! Every request is judged once, by its decoded and cleaned path, and then goes one of two ways. What is the engine's alone
//! is forwarded byte for byte, hijacked connections included. What is ours, or ours and the engine's together, becomes a
//! typed request for the [`Api`], which answers it or hands it back to be forwarded unchanged.
//!
//! ```text
//!   client ──▶ server ──▶ route ─┬─ raw ──────────────────────────▶ forward ──▶ engine
//!                                │                                   ▲  ▲
//!                                └─ ours · merged · rewritten ─▶ Api ┘  │
//!                                      ▲                          └─────┘ Engine::send
//!                                      └── its answer
//! ```
//!
//! - [`route`]: method and raw target → class and endpoint; pure
//! - [`forward`]: the engine's socket, raw exchanges and edited calls
//! - [`server`]: listeners, connections, shutdown
//! - [`stream`]: message framing, one-way pipes, hang-up of a peer
//! - [`refusal`]: what the proxy answers by itself
//! - [`handler`]: our calls, read and decided; [`view`]: objects as clients see them; [`error`]: faults as clients see them
//! - [`merge`]: answers that are engine and cluster together; [`events`]: what the swarm tells of itself
//! - [`metrics`]: what Prometheus reads
//! - [`version`]: which API versions are spoken
//! - [`config`], [`daemon`]: what `swarmrsd` is told, and how it is wired

mod head;

pub mod config;
pub mod daemon;
pub mod error;
pub mod events;
pub mod forward;
pub mod handler;
pub mod merge;
pub mod metrics;
pub mod refusal;
pub mod route;
pub mod server;
pub mod stream;
pub mod version;
pub mod view;

pub use config::Config;
pub use events::SwarmEvents;
pub use forward::Engine;
pub use handler::Handlers;
pub use metrics::Metrics;
pub use refusal::refusal;
pub use route::{ApiVersion, Class, Endpoint, Route, RouteError, classify};
pub use server::{Api, Body, Listener, Reply, Tcp, Traffic, serve};
