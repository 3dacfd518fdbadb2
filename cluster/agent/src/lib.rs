//! What a node does with its tasks.
//!
//! ```text
//!   manager ──Assignments──▶ session ──Orders──▶ worker ──Wish──▶ task::runner ──▶ executor ──▶ engine
//!           ◀──Statuses───── reporter ◀───────────────────────────── │                │
//!                                                       journal ◀────┘   one event stream for all
//! ```
//!
//! The agent holds no cluster state. It is told the node's tasks, runs one [`task::runner`] for each, and tells what
//! became of them. A runner asks the pure [`task::step`] what comes next and does it through an [`Executor`]; the one that
//! drives the engine is [`container`].
//!
//! Promises:
//! - Nothing stops because the agent stops. Killed at any moment and started again, it finds each container again (by the
//!   journal's container id, else by name, labels and node id), restarts none and forgets none.
//! - An observed state only grows, and so does a desired one. Assignments never go back in time.
//! - A task does not fail because the engine was away: its runner waits.
//! - The latest status of each task is repeated until a manager has it.
//!
//! Modules: [`agent`] the handle, [`session`], [`assignment`] (pure), [`worker`], [`task`], [`executor`], [`container`],
//! [`network`], [`reporter`], [`journal`], [`secret`], [`logs`], [`measure`], [`description`], [`error`].

pub mod agent;
pub mod assignment;
pub mod container;
pub mod description;
pub mod error;
pub mod executor;
pub mod journal;
pub mod logs;
pub mod measure;
#[cfg(test)]
mod mock;
pub mod network;
pub mod reporter;
pub mod routes;
pub mod secret;
pub mod session;
pub mod task;
pub mod worker;

pub use agent::{Agent, Config, Handle, LogSource};
pub use container::policy::Policy;
pub use container::socket::SocketMap;
pub use error::Error;
pub use executor::{Executor, Failure};
pub use measure::Measures;
pub use network::Networks;
pub use session::Transport;
