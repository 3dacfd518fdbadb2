//! Receiving a snapshot, part by part.

use crate::wire::{At, Refusal, SnapshotQuestion, VoteWire};
use tokio::task::JoinHandle;

/// What has come of one snapshot.
#[derive(Debug)]
pub(crate) struct Reception {
    vote: VoteWire,
    last: Option<At>,
    size: u64,
    begins_anew: bool,
    bytes: Vec<u8>,
    is_whole: bool,
    /// The vote of this member once it has taken up the snapshot.
    pub(crate) taking: Option<JoinHandle<Result<VoteWire, Refusal>>>,
}

/// What follows from a part.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// The next part begins here.
    Wanted(u64),
    /// That was the last one; this is the snapshot.
    Whole(Vec<u8>),
    /// All parts came before.
    Taking,
}

/// Takes one part. Parts of another snapshot, or of another leader's, begin anew; whoever sent one from the
/// middle is told where to go on.
pub(crate) fn take(
    reception: &mut Option<Reception>,
    question: &SnapshotQuestion,
    part: &[u8],
) -> Progress {
    drop(reception.take_if(|here| !here.is_of(question)));
    let here = reception.get_or_insert_with(|| Reception {
        vote: question.vote,
        last: question.last,
        size: question.size,
        begins_anew: question.begins_anew,
        bytes: Vec::new(),
        is_whole: false,
        taking: None,
    });
    if here.is_whole {
        return Progress::Taking;
    }
    if question.offset == here.bytes.len() as u64 {
        here.bytes.extend_from_slice(part);
    }
    let come = here.bytes.len() as u64;
    if come < here.size {
        return Progress::Wanted(come);
    }
    here.is_whole = true;
    Progress::Whole(std::mem::take(&mut here.bytes))
}

impl Reception {
    fn is_of(&self, question: &SnapshotQuestion) -> bool {
        let purpose = self.begins_anew == question.begins_anew;
        purpose
            && (self.vote, self.last, self.size) == (question.vote, question.last, question.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::log_id;

    fn question(term: u64, offset: u64) -> SnapshotQuestion {
        SnapshotQuestion {
            to: 2,
            vote: VoteWire {
                term,
                candidate: 1,
                committed: true,
            },
            last: Some(log_id(term, 9).into()),
            size: 6,
            offset,
            begins_anew: false,
        }
    }

    #[test]
    fn parts_in_order_make_a_snapshot() {
        let mut reception = None;
        let mut part = |offset, part: &[u8]| take(&mut reception, &question(1, offset), part);
        assert_eq!(part(0, b"ab"), Progress::Wanted(2));
        assert_eq!(part(2, b"cd"), Progress::Wanted(4));
        assert_eq!(part(4, b"ef"), Progress::Whole(b"abcdef".to_vec()));
        assert_eq!(part(6, b""), Progress::Taking);
        assert_eq!(part(4, b"ef"), Progress::Taking);
    }

    #[test]
    fn a_part_that_comes_again_or_too_early_changes_nothing() {
        let mut reception = None;
        let mut part = |offset, part: &[u8]| take(&mut reception, &question(1, offset), part);
        assert_eq!(part(2, b"cd"), Progress::Wanted(0));
        assert_eq!(part(0, b"ab"), Progress::Wanted(2));
        assert_eq!(part(0, b"ab"), Progress::Wanted(2));
        assert_eq!(part(4, b"ef"), Progress::Wanted(2));
        assert_eq!(part(2, b"cdef"), Progress::Whole(b"abcdef".to_vec()));
    }

    #[test]
    fn a_snapshot_to_start_over_from_is_another() {
        let mut reception = None;
        let asked_for = |offset| SnapshotQuestion {
            begins_anew: true,
            ..question(1, offset)
        };
        let mut part = |question, part: &[u8]| take(&mut reception, &question, part);
        assert_eq!(part(question(1, 0), b"ab"), Progress::Wanted(2));
        assert_eq!(part(asked_for(2), b"cd"), Progress::Wanted(0));
        assert_eq!(part(asked_for(0), b"ab"), Progress::Wanted(2));
    }

    #[test]
    fn another_snapshot_begins_anew() {
        let mut reception = None;
        assert_eq!(
            take(&mut reception, &question(1, 0), b"ab"),
            Progress::Wanted(2)
        );
        assert_eq!(
            take(&mut reception, &question(2, 2), b"cd"),
            Progress::Wanted(0)
        );
        assert_eq!(
            take(&mut reception, &question(2, 0), b"xy"),
            Progress::Wanted(2)
        );
    }
}
