//! The whole API over one socket: our handlers on a real node, in front of an engine that this test plays.

mod events;
mod refusals;
mod support;
mod swarm;
