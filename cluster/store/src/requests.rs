//! The requests of this member that wait for their answer, numbered.

use std::collections::BTreeSet;
use std::sync::Mutex;
use swarmrs_core::Request;

/// A session, from the store's opening to its end.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    numbers: BTreeSet<u64>,
}

/// A request that waits for its answer until this is dropped.
pub(crate) struct Ticket<'a> {
    session: &'a Session,
    pub(crate) request: Request,
}

impl Session {
    /// A session that nobody has had before. Errors: the kernel has no random source.
    pub(crate) fn draw() -> std::io::Result<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(std::io::Error::other)?;
        Ok(Session {
            id: u64::from_le_bytes(id),
            waiting: Mutex::default(),
        })
    }

    pub(crate) fn enter(&self) -> Ticket<'_> {
        let mut waiting = self.waiting.lock().expect("no holder panics");
        waiting.last += 1;
        let number = waiting.last;
        waiting.numbers.insert(number);
        let settled = waiting.numbers.first().copied().unwrap_or(number);
        Ticket {
            session: self,
            request: Request {
                session: self.id,
                number,
                settled,
            },
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut waiting = self.session.waiting.lock().expect("no holder panics");
        waiting.numbers.remove(&self.request.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_settled_lies_below_all_that_waits() {
        let session = Session::draw().unwrap();
        let first = session.enter();
        let second = session.enter();
        assert_eq!((first.request.number, first.request.settled), (1, 1));
        assert_eq!((second.request.number, second.request.settled), (2, 1));
        drop(first);
        assert_eq!(session.enter().request.settled, 2);
        drop(second);
        assert_eq!(session.enter().request.settled, 4);
    }
}
