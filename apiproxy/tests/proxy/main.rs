//! The proxy between a recording engine and hand-written clients, all raw sockets.

mod hijack;
mod never_past_us;
mod ours;
mod raw;
mod send;
mod smuggling;
mod support;
mod targets;
