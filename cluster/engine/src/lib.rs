//! The typed client to the node's own dockerd.
//!
//! Everything swarmrs wants from the engine goes through one [`Engine`]: a handle that costs nothing to clone, does no
//! work until it is first used, and finds the engine again by itself after the engine was away.
//!
//! ```text
//!   agent, node, apiproxy
//!          │  start_container(..), inspect_container(..), events(..), logs(..), pull_image(..)
//!          ▼
//!       Engine ── calls whose answers have no model to lose ──▶ bollard ──┐
//!          │                                                              ▼
//!          └──── bodies and answers as raw JSON (create, inspect, …) ─▶ transport ──▶ unix socket ──▶ dockerd
//! ```
//!
//! Two ways lead over one pool of kept-alive connections. bollard carries what has no body worth keeping: version
//! negotiation, start, stop, kill, wait, remove, events. Whatever has a body or an answer that bollard's models would
//! thin out (they drop a health check on the way to the engine, and refuse enum values that they do not know) travels as
//! the JSON it is, and this crate picks the few fields that we decide by and hands the whole answer on in `raw`.
//!
//! Promises:
//! - Every plain call ends within its limit ([`Limits`]); streams end when the engine or the caller ends them.
//! - The engine's own words are kept: [`Error::message`] is what dockerd said, letter for letter.
//! - The API version is negotiated on first use and again after the engine was lost, so that an engine upgraded under a
//!   running daemon is spoken to in its own version. Engines older than [`MINIMUM_API`] are refused.
//! - No call that changes something is sent twice.
//!
//! Modules: [`client`] the handle, [`version`], [`error`] what can go wrong, [`info`] the engine itself, [`container`],
//! [`image`], [`network`], [`volume`], [`event`], [`log`], [`filter`], [`measure`]; inside: `call` one request, `transport`
//! the socket, `raw` reading JSON without a model.

pub mod client;
pub mod container;
pub mod error;
pub mod event;
pub mod filter;
pub mod image;
pub mod info;
pub mod log;
pub mod measure;
pub mod network;
pub mod version;
pub mod volume;

mod call;
mod raw;
mod transport;

pub use client::{Engine, Limits};
pub use container::{
    ContainerState, ContainerStatus, ContainerSummary, Created, Exit, Health, PortBinding,
    WaitCondition,
};
pub use error::Error;
pub use event::{Event, EventFilter, EventKind, EventStream};
pub use filter::Filters;
pub use image::Image;
pub use info::{EngineInfo, EngineVersion, Plugins};
pub use log::{LogFrame, LogOptions, LogStream, Source, Tail};
pub use measure::{Measures, Presence};
pub use version::{ApiVersion, MINIMUM_API};
