//! The way to the engine: byte for byte for what is not ours, as a typed call for what a handler edits.
//!
//! A raw request is not taken apart and put together again. Its head is *read*, to find its end and its body's end, and then
//! the very bytes of the client go to the engine and the engine's bytes to the client. So header order, case and spacing,
//! chunk sizes and trailers arrive as they were sent; hijacked connections, websockets and cleartext HTTP/2 are the same code
//! with the end "until close".

mod engine;
mod exchange;

pub use engine::{Engine, Error};
pub(crate) use exchange::{Asked, Exchange, Gone, Outcome};
