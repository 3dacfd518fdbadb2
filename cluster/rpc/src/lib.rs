//! How nodes speak to each other: the messages, and the ways they travel.
//!
//! ```text
//!   agent ──Hello, Statuses──▶ dispatcher
//!         ◀──Assignments──────
//! ```
//!
//! A node holds one [`session`] with a manager. Inside one process it is a pair of channels
//! ([`session::local`]); what travels is the same that a connection between machines will carry:
//! plain data with serde, unknown fields ignored.

pub mod message;
pub mod session;

pub use message::session::{AssignmentSet, AssignmentsMessage, FromNode, Hello, Position, ToNode};
pub use session::{ManagerEnd, NodeEnd, SessionClosed};
