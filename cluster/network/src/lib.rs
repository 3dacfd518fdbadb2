//! What packets do: overlay networks, virtual addresses, names and the routing mesh.
//!
//! ```text
//!   swarmrsd: agent, API ──Plane──▶ handle ══socket══▶ holder ─┬─▶ carrying: links, rules, ports in the kernel
//!                                                              ├─▶ dns: names
//!   dockerd ──────────────── plug-in socket ──────────────────▶└─▶ driver: containers that join and leave
//! ```
//!
//! Two fates, one binary: swarmrsd may end, crash and be replaced, and nothing of this notices. The holder is a process of
//! its own; what it is told are facts (`swarmrs_types::endpoint`), and it remembers them.
//!
//! - [`handle`]: the way there: [`Plane`] with [`Handle`], and [`Absent`] for a node that carries nothing
//! - [`holder`]: the process
//! - [`driver`]: the engine's network driver
//! - [`dns`]: name servers of networks
//! - [`plane`]: networks in the kernel: links, addresses, rules
//! - [`port`]: ports of containers on the host
//! - [`state_file`]: what the holder remembers

mod balance;
mod carrying;
mod desired;
mod diff;
mod error;
mod firewall;
mod guard;
mod inherited;
mod netlink;
mod netns;
mod reserve;
mod shortcut;
mod vxlan;

pub mod dns;
pub mod driver;
pub mod handle;
pub mod holder;
pub mod mesh;
pub mod plane;
pub mod port;
pub mod state_file;

pub use driver::driver_name;
pub use handle::{Absent, Error, Handle, Held, Launch, Plane};
pub use holder::carrier::Settings;
pub use port::{BoundPort, HostPort};
