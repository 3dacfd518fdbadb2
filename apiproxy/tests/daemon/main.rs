//! The program itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod activation;
mod config;
mod life;
mod seen;
mod support;
mod tcp;
