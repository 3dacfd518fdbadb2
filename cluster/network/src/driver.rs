//! The engine's network driver: the plug-in socket that dockerd asks when a container joins or leaves a network of ours.
//!
//! ```text
//!   dockerd ──POST /NetworkDriver.Join──▶ server ─▶ Driver ─┬─ facts: which network, whose address
//!                                                           ├─ book: what the engine made, on disk
//!                                                           └─ carrier: links, routes, ports
//! ```
//!
//! It needs no manager and no swarmrsd: what it must know it was told before, and it is on disk. The engine says neither a
//! network's name nor a container's id, so a network is known by our option on it and an endpoint by its address, which the
//! swarm chose. What it does not know is refused in a sentence, with nothing half made; what was told an instant too late is
//! waited for.
//!
//! Source of the calls: libnetwork, `docs/remote.md` and `drivers/remote/api`; their order and gaps were tried on 20.10, 26.1
//! and 28.5.

pub mod book;
pub mod call;
pub mod message;
pub mod name;
pub mod server;

pub use call::Driver;
pub use name::driver_name;
