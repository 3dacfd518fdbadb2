//! What must outlive swarmrsd, in a process of its own: one per node.
//!
//! ```text
//!   swarmrsd ──facts──▶ control ─┐                       ┌─▶ carrier: links, rules, ports
//!   dockerd ──calls──▶ driver ───┼──▶ Ground ── facts ───┼─▶ names: zone and name servers
//!                                └──── book ─────────────┴─▶ state folder
//! ```
//!
//! It holds the network driver's socket, the name servers, the kernel's tables and links, and the reserved ports. It needs
//! no manager: it is told facts while one is there and lives on the last ones. What it holds in the kernel stays when it
//! ends; the next one takes it over by the state folder. One of another build is the same process, with the sockets
//! that wait (`inherited`). Only [`control::Call::Clear`] takes it all away.
//!
//! - [`ground`]: what all parts stand on: the facts, the book, the carrier, the names
//! - [`control`], [`frame`]: what swarmrsd says to it
//! - [`carrier`]: whoever programs the kernel
//! - [`lifeline`]: connections of swarmrsd that outlive it
//! - [`life`]: start, adoption, end

pub mod carrier;
pub mod control;
pub mod frame;
pub mod ground;
pub mod life;
pub mod lifeline;
pub mod sandbox;

pub use carrier::{Carrier, Opener};
pub use ground::Ground;
pub use life::{Config, Error, run, run_with};
