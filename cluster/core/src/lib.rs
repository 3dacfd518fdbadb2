//! What should happen: the pure heart of the swarm.
//!
//! ```text
//!   an API request ──control──▶ Plan ─┐
//!                                     ├─▶ Command ──log──▶ State::apply ──▶ events ─┐
//!   Agenda ──leader::step──▶ Plan ────┘                                             │
//!      ▲                                                                            │
//!      └──────────────────────────── note ◀────────────────────────────────────────┘
//! ```
//!
//! Deciders read a [`State`] and return a [`Plan`]; the log carries the objects a plan writes, with
//! the versions it read; [`State::apply`] compares those versions and nothing more. No function
//! here reads a clock, draws an id, waits, or depends on the order of a hash table: the same state,
//! time and ids give the same plan, byte for byte.

pub mod agenda;
pub mod allocator;
pub mod change;
pub mod control;
pub mod dispatcher;
pub mod enforcer;
pub mod feature;
pub mod invariant;
pub mod leader;
pub mod liveness;
pub mod orchestrator;
pub mod outline;
pub mod plan;
pub mod reaper;
pub mod roles;
pub mod scheduler;
pub mod state;

pub use agenda::Agenda;
pub use change::{Change, Command, Delta, Event, Expect, Guard, Key, Object, Rejected};
pub use plan::{Draft, Ids, Plan};
pub use state::{Request, State};
