//! How much one expansion may cost.
//!
//! A template comes from a user and runs on a manager (the check at `service create`) and on every node. Go's engine lets
//! it loop and recurse until memory ends; here each expansion has a ceiling that no honest template comes near.

/// Nested parentheses and blocks in one text. It bounds the parser's own recursion, and with it the depth of the tree.
pub(crate) const NESTING: usize = 100;

/// Variables in scope at once, which are searched one by one.
pub(crate) const VARIABLES: usize = 1000;

/// Blocks, parentheses and `template` calls open at once while a template runs. Go allows 100,000 and grows its stack;
/// ours is the 2 MiB of a thread, and this leaves most of it free.
pub(crate) const DEPTH: usize = 200;

/// Bytes that one expansion may produce, and that any one value in it may hold. Payloads are at most 1,000 KiB when stored.
pub(crate) const OUTPUT: usize = 8 << 20;

/// Work in all: bytes looked at by functions, and [`STEP`] for every node visited.
const WORK: usize = 256 << 20;
const STEP: usize = 256;

/// What is left of the work allowed.
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(WORK)
    }

    /// Pays for one node, or tells that nothing is left.
    pub(crate) fn step(&mut self) -> Result<(), String> {
        self.pay(STEP)
    }

    /// Pays for handling `bytes`.
    pub(crate) fn pay(&mut self, bytes: usize) -> Result<(), String> {
        match self.0.checked_sub(bytes) {
            Some(left) => self.0 = left,
            None => return Err("the template takes too many steps".to_owned()),
        }
        Ok(())
    }
}

/// Bytes that grow up to [`OUTPUT`]. What is beyond is dropped and remembered, so that formatting code need not check
/// every write: it asks [`Buffer::is_full`] in its loops, and [`Buffer::finish`] refuses.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    full: bool,
}

impl Buffer {
    pub(crate) fn push(&mut self, more: &[u8]) {
        if more.len() > OUTPUT - self.bytes.len() {
            self.full = true;
        } else {
            self.bytes.extend_from_slice(more);
        }
    }

    pub(crate) fn pad(&mut self, byte: u8, count: usize) {
        if count > OUTPUT - self.bytes.len() {
            self.full = true;
        } else {
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, String> {
        if self.full {
            Err(too_long())
        } else {
            Ok(self.bytes)
        }
    }
}

/// The refusal for an output or a value beyond [`OUTPUT`].
pub(crate) fn too_long() -> String {
    format!("the result is longer than {OUTPUT} bytes")
}
