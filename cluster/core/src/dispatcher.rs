//! Between the state and the nodes: what each is told, and what of its reports is kept.

pub mod assignment;
pub mod endpoints;
pub mod payloads;
pub mod status;
