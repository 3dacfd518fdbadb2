//! Names: what containers on our networks ask, answered or passed on.
//!
//! ```text
//!   container ─▶ 127.0.0.11 (its engine) ─▶ 169.254.77.53 in the network's namespace ─▶ server ─┬─▶ zone
//!                                                                                               └─▶ upstream, from the host
//! ```
//!
//! The address stands on the bridge of each network's namespace, so it is there before any container, on internal
//! networks too, and nothing has to be done inside a container. Only containers of users, which may come to a network of ours
//! from elsewhere while they run, have a server of their own besides ([`inside`]).

#[cfg(test)]
mod fixture;
pub mod inside;
pub mod packet;
pub mod resolvers;
pub mod server;
pub mod upstream;
pub mod zone;

use std::net::Ipv4Addr;

/// Where containers on our networks find their name server.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 53);
