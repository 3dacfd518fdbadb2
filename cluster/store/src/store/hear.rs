//! What other members ask, answered.

use super::several::PROPOSE_WITHIN;
use super::{Store, propose};
use crate::codec::{BadRecord, SnapshotHead};
use crate::error::ProposeError;
use crate::raft::{LogId, Proposal, Raft, Types, Vote};
use crate::reception::{self, Progress, Reception};
use crate::transport::Ask;
use crate::wire::{
    Answer, AppendAnswer, AppendQuestion, At, EntryWire, LeaderAnswer, ProposeQuestion,
    ReadQuestion, Refusal, SnapshotAnswer, TransferAnswer, TransferQuestion, VoteAnswer, VoteKind,
    VoteQuestion, VoteWire, decode, decode_part, encode,
};
use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    VoteRequest,
};
use serde::Serialize;
use std::time::Duration;
use swarmrs_core::{Command, Request};
use swarmrs_types::ClusterTime;

/// How long one that sends a snapshot waits for its being taken up before it hears that this goes on.
const TAKE_UP_WITHIN: Duration = Duration::from_secs(1);

impl Store {
    /// Answers what member `from` asks. Whoever calls this answers for `from`: that it is the one who asks was
    /// proven, by his certificate. Where there is no answer the bytes say why.
    ///
    /// None is a manager of the cluster whose number is not known here: a member that is new, or was away, hears of the
    /// others by what they send it. It is believed to be who it says, as far as nobody known is.
    ///
    /// May be called from any runtime, at once for many.
    pub async fn hear(&self, ask: Ask, from: Option<u64>, body: Bytes) -> Bytes {
        match ask {
            Ask::Append => answer(self.hear_append(from, &body).await),
            Ask::Vote => answer(self.hear_vote(from, &body).await),
            Ask::Snapshot => answer(self.hear_snapshot(from, &body).await),
            Ask::Transfer => answer(self.hear_transfer(from, &body).await),
            Ask::Propose => answer(self.hear_propose(from, &body).await),
            Ask::ReadIndex => answer(self.hear_read(from, &body).await),
        }
    }

    async fn hear_append(&self, from: Option<u64>, body: &[u8]) -> Result<AppendAnswer, Refusal> {
        let question: AppendQuestion = decode(body)?;
        self.check_leader(from, question.to, question.vote)?;
        let entries = question.entries.into_iter().map(EntryWire::into_entry);
        let rpc = AppendEntriesRequest {
            vote: question.vote.into(),
            prev_log_id: question.after.map(LogId::from),
            entries: entries.collect::<Result<_, _>>()?,
            leader_commit: question.committed.map(LogId::from),
        };
        let core = self.core()?;
        if is_led_by(&core, question.vote) {
            // It is heard now; what it says may take its time to be on disk.
            self.shared.heard.note(self.timing.lease());
        }
        let answer = core.append_entries(rpc).await.map_err(unready)?;
        if let AppendEntriesResponse::HigherVote(vote) = answer {
            return Ok(AppendAnswer::HigherVote(vote.into()));
        }
        self.shared.heard.note(self.timing.lease());
        question.sum.inspect(|sum| self.shared.sums.compare(*sum));
        Ok(match answer {
            AppendEntriesResponse::Conflict => AppendAnswer::Conflict,
            _ => AppendAnswer::Taken,
        })
    }

    async fn hear_vote(&self, from: Option<u64>, body: &[u8]) -> Result<VoteAnswer, Refusal> {
        let question: VoteQuestion = decode(body)?;
        self.check(from, question.to, question.vote.candidate)?;
        self.check_not_alone()?;
        let rpc = VoteRequest {
            vote: question.vote.into(),
            last_log_id: question.last.map(LogId::from),
            leadership_transfer: question.kind == VoteKind::Transfer,
        };
        let core = self.core()?;
        let answer = match question.kind {
            VoteKind::Pre => core.pre_vote(rpc).await,
            VoteKind::Plain | VoteKind::Transfer => core.vote(rpc).await,
        };
        let answer = answer.map_err(unready)?;
        Ok(VoteAnswer {
            vote: answer.vote.into(),
            is_granted: answer.vote_granted,
            last: answer.last_log_id.map(At::from),
        })
    }

    async fn hear_snapshot(
        &self,
        from: Option<u64>,
        body: &[u8],
    ) -> Result<SnapshotAnswer, Refusal> {
        let (question, part) = decode_part(body)?;
        self.check_leader(from, question.to, question.vote)?;
        let mut reception = self.shared.reception.lock().await;
        // Without one nobody would take up the whole, and whoever sent it would ask for ever how far that is.
        let core = self.core()?;
        let progress = reception::take(&mut reception, &question, part);
        if question.begins_anew {
            return self.hear_state(&mut reception, question.vote, progress);
        }
        match progress {
            Progress::Wanted(offset) => return Ok(SnapshotAnswer::Wanted { offset }),
            Progress::Whole(bytes) => {
                let taking = take_up(core, question.vote, bytes);
                let begun = reception.as_mut().map(|here| &mut here.taking);
                begun.map(|here| here.replace(tokio::spawn(taking)));
            }
            Progress::Taking => {}
        }
        finish(&mut reception, question.size).await
    }

    async fn hear_transfer(
        &self,
        from: Option<u64>,
        body: &[u8],
    ) -> Result<TransferAnswer, Refusal> {
        let question: TransferQuestion = decode(body)?;
        self.check_leader(from, question.to, question.vote)?;
        let last = question.last.map(LogId::from);
        let request =
            TransferLeaderRequest::<Types>::new(question.vote.into(), question.next, last);
        let taken = self.core()?.handle_transfer_leader(request).await;
        Ok(match taken.map_err(unready)? {
            Ok(()) => TransferAnswer::Taken,
            Err(TransferLeaderError::VoteChanged { actual, .. }) => TransferAnswer::VoteChanged {
                vote: actual.into(),
            },
            Err(TransferLeaderError::LogNotFlushed { actual, .. }) => TransferAnswer::Behind {
                last: actual.map(At::from),
            },
        })
    }

    async fn hear_propose(&self, from: Option<u64>, body: &[u8]) -> Result<LeaderAnswer, Refusal> {
        let question: ProposeQuestion = decode(body)?;
        self.check_known(from, question.to)?;
        let command = serde_json::from_str(question.command.get()).map_err(BadRecord::from)?;
        let proposed = self.propose_for(command, question.request);
        let within = tokio::time::timeout(PROPOSE_WITHIN, proposed).await;
        let late = |_| Err(ProposeError::Unknown { leader: None });
        Ok(within.unwrap_or_else(late).into())
    }

    async fn hear_read(&self, from: Option<u64>, body: &[u8]) -> Result<LeaderAnswer, Refusal> {
        let question: ReadQuestion = decode(body)?;
        self.check_known(from, question.to)?;
        let core = self.core()?;
        let agreed = propose::agreed(&core).await;
        if let (true, Some(to), Ok(index)) = (question.wants_state, from, &agreed) {
            self.give_state(core, to, *index);
        }
        Ok(agreed.into())
    }

    /// Puts another member's command into the log, if this one leads. What time it is the leader says: its clock is
    /// the one by which commands are compared.
    async fn propose_for(
        &self,
        mut command: Command,
        request: Request,
    ) -> Result<u64, ProposeError> {
        self.check_leads()?;
        command.time = self.now().unwrap_or(command.time);
        let json = propose::json(&command)?;
        propose::check_space(&self.folder, self.reserve)?;
        let _waiting = self.shared.pace.enter();
        let proposal = Proposal::shared(command, Some(request), json);
        propose::write(&self.shared.raft()?, proposal).await
    }

    fn check_leads(&self) -> Result<(), ProposeError> {
        let leadership = self.shared.leadership.borrow();
        match leadership.is_leader {
            true => Ok(()),
            false => Err(ProposeError::NotLeader {
                leader: leadership.leader.clone(),
            }),
        }
    }

    fn now(&self) -> Option<ClusterTime> {
        self.shared.clock.get().map(|clock| clock())
    }

    /// Whoever asks is who he says, belongs here, and means this member.
    fn check(&self, from: Option<u64>, to: u64, claimed: u64) -> Result<(), Refusal> {
        let from = from.unwrap_or(claimed);
        if self.shared.roster.has_left(from) {
            return Err(Refusal::Dismissed);
        }
        if to != self.raft_id {
            return Err(Refusal::Misdirected { here: self.raft_id });
        }
        match from == claimed {
            true => Ok(()),
            false => Err(Refusal::Impostor { from, claimed }),
        }
    }

    /// The same for one who asks something of the leader.
    fn check_known(&self, from: Option<u64>, to: u64) -> Result<(), Refusal> {
        match from {
            Some(from) => self.check(Some(from), to, from),
            None => Err(Refusal::Unready("it does not know who asks yet".to_owned())),
        }
    }

    /// The same for one who leads.
    fn check_leader(&self, from: Option<u64>, to: u64, vote: VoteWire) -> Result<(), Refusal> {
        self.check(from, to, vote.candidate)?;
        self.check_not_alone()?;
        match vote.committed {
            true => Ok(()),
            false => Err(Refusal::Unreadable("it leads by a mere vote".to_owned())),
        }
    }

    /// A member that agrees with itself alone follows nobody: to belong to others it would have had to let them in.
    fn check_not_alone(&self) -> Result<(), Refusal> {
        match self.leads_alone() {
            true => Err(Refusal::Unready("it is alone".to_owned())),
            false => Ok(()),
        }
    }

    fn core(&self) -> Result<Raft, Refusal> {
        self.shared.raft().map_err(unready)
    }
}

/// Whether whoever holds this vote is known to lead.
fn is_led_by(core: &Raft, vote: VoteWire) -> bool {
    let metrics = core.server_metrics();
    let metrics = metrics.borrow_watched();
    metrics.current_leader == Some(vote.candidate) && metrics.vote.leader_id.term == vote.term
}

/// Puts a snapshot in the place of the state. Goes on though nobody waits for it.
async fn take_up(core: Raft, vote: VoteWire, bytes: Vec<u8>) -> Result<VoteWire, Refusal> {
    let snapshot = openraft::Snapshot {
        meta: SnapshotHead::from_bytes(&bytes)?.meta()?,
        snapshot: bytes.into(),
    };
    let taken = core.install_full_snapshot(Vote::from(vote), snapshot).await;
    Ok(taken.map_err(unready)?.vote.into())
}

/// Waits a moment until the snapshot is taken up. If that takes longer, whoever sent it asks again from its end on.
async fn finish(reception: &mut Option<Reception>, size: u64) -> Result<SnapshotAnswer, Refusal> {
    let taking = reception.as_mut().and_then(|here| here.taking.as_mut());
    let taking = taking.ok_or_else(|| unready("no snapshot is being taken up"))?;
    let Ok(taken) = tokio::time::timeout(TAKE_UP_WITHIN, taking).await else {
        return Ok(SnapshotAnswer::Wanted { offset: size });
    };
    *reception = None;
    let vote = taken.map_err(unready)??;
    Ok(SnapshotAnswer::Done { vote })
}

/// The bytes of an answer.
fn answer<T: Serialize>(result: Result<T, Refusal>) -> Bytes {
    let answer = match result {
        Ok(answer) => Answer::Answer(answer),
        Err(refusal) => {
            tracing::debug!(%refusal, "question of another member refused");
            Answer::Refused(refusal)
        }
    };
    encode(&answer).unwrap_or_default()
}

fn unready(error: impl std::fmt::Display) -> Refusal {
    Refusal::Unready(error.to_string())
}

impl From<BadRecord> for Refusal {
    fn from(error: BadRecord) -> Self {
        Refusal::Unreadable(error.to_string())
    }
}

#[cfg(test)]
mod tests;
