//! The plane in real namespaces: packets go where facts say, and the host is as before when all is over.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "plane/rig.rs"]
mod rig;

#[path = "plane/virtual_address.rs"]
mod virtual_address;

#[path = "plane/published.rs"]
mod published;

#[path = "plane/lifetime.rs"]
mod lifetime;

#[path = "plane/update.rs"]
mod update;

#[path = "plane/forgery.rs"]
mod forgery;

#[path = "plane/two_nodes.rs"]
mod two_nodes;

#[path = "plane/short.rs"]
mod short;
