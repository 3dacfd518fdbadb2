//! The messages.

pub mod session;
