//! What packets do: overlay networks, virtual addresses, names and the routing mesh.
//!
//! ```text
//!   desired ──diff──▶ plane ──▶ links, neighbours, rules
//! ```
//!
//! This release runs tasks on the engine's own networks only. A service that asks for a swarm
//! network or for a port on every node is refused when it is created, so nothing ever waits here
//! for packets that no one carries.
