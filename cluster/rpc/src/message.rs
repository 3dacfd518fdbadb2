//! The messages.
//!
//! They travel as JSON between nodes of different releases: a field that a release does not know is
//! passed over, one that is missing has its default, and no field ever changes its meaning.

pub mod attachment;
pub mod control;
pub mod join;
pub mod logs;
pub mod session;
