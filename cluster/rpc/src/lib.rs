//! How nodes speak to each other: the messages, and the ways they travel.
//!
//! ```text
//!              Client ── TLS, HTTP/2 ──▶ Server ── judge ──▶ Service
//!   call     POST /rpc/v1/<method>  one frame ▶ ◀ one frame, or a Refusal
//!   converse the same, frames both ways until one side ends it
//!
//!   agent ──Hello, Statuses──▶ dispatcher        a session: a conversation,
//!         ◀──Assignments──────                   or two channels inside one process
//! ```
//!
//! Everything goes to one port. A connection's ALPN name says what it is for ([`Purpose`]): the
//! quorum's is served on a runtime of its own, so that nothing else can keep a heartbeat waiting.
//! Who may call what stands in one table ([`method`]) and is judged in one place, before a body is
//! read. A caller is what its certificate says ([`Caller`]), which the handshake has verified; one
//! without a certificate may do no more than joining needs.
//!
//! What a node shows and trusts is a [`Credentials`], which can be replaced under way: the next
//! handshake uses what is new, and a [`Client`] makes one at its next call.
//!
//! An authority outside of the swarm, if there is one, is asked over HTTPS ([`external`]).
//!
//! A peer that is gone and one that is silent are two things. The first is known at once: streams
//! break, and the next call is refused by the machine. The second is found by pings.

mod conversation;
mod error;
mod pulse;
mod refusal;

pub mod client;
pub mod codec;
pub mod external;
pub mod message;
pub mod method;
pub mod server;
pub mod session;
pub mod tls;

pub use client::{Client, Keeper, fetch_root};
pub use codec::{Malformed, from_json, to_json};
pub use conversation::{Conversation, FrameReceiver, FrameSender};
pub use error::CallError;
pub use message::session::{
    AssignmentSet, AssignmentsMessage, FromNode, Hello, Notice, Position, Roots, ToNode,
};
pub use method::{Method, Needs, Purpose, Shape};
pub use pulse::Keepalive;
pub use refusal::{Reason, Refusal};
pub use server::{Caller, Limits, Line, RoleOf, Served, Server, ServerConfig, Service};
pub use session::{ManagerEnd, NodeEnd, SessionClosed};
pub use tls::{Credentials, TlsError};
