//! What packets do: overlay networks, virtual addresses, names and the routing mesh.
//!
//! - [`dns`]: name servers of networks

pub mod dns;
