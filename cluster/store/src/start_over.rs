//! A member whose state is not the leader's starts over from the leader's.
//!
//! ```text
//!   the sums differ ──▶ out of service; the state is kept as evidence
//!        ▲                  │
//!        │                  ▼
//!        │              the leader is asked (ReadQuestion::wants_state), and sends its state as a snapshot
//!        │                  │
//!   compared again ◀── it takes the place of the state and of the snapshot; the log behind it is applied again
//! ```
//!
//! Only the state is wrong: log and vote are as good as any, so the member goes on to take entries and to vote, and counts
//! for whoever leads. It does not stand for election, shows nothing and reads nothing ([`crate::ProposeError::Differs`]);
//! for its users there is no leader. Should it be given the lead, it hands it on at once.
//!
//! A leader of a release before this reads the question as one that asks how far it is, answers that, and sends nothing: it
//! is asked again, ever more rarely, until another leads. A member that differs again after it started over three times
//! within an hour has a bug of its own, and stays out of service.
//!
//! The leader by whom it differs may be lost, and with it the state that counted. Where nobody leads for long, because all
//! who could win differ, one of them stands after all; once it leads, its state is the one that counts.

mod lead;

pub(crate) use lead::hand_on;

use crate::codec::SnapshotHead;
use crate::current::Shared;
use crate::error::Member;
use crate::log::LogReader;
use crate::question;
use crate::raft::Raft;
use crate::sums::Differing;
use crate::transport::{Ask, Transport};
use crate::wire::{LeaderAnswer, ReadQuestion, encode};
use openraft::async_runtime::watch::WatchReceiver;
use std::collections::VecDeque;
use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Between two tries to get the leader's state: first and longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// How long the leader may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Without a part of its state for so long none is waited for.
const SILENCE: Duration = Duration::from_secs(5);

/// How long what is in its state may take to be agreed on here.
const REACH_WITHIN: Duration = Duration::from_secs(60);

/// So many times within an hour, and no more.
const MOST: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);

/// What a member keeps for starting over, over changes of core.
#[derive(Debug, Default)]
pub(crate) struct StartingOver {
    /// The leader's state, as far as it has come.
    pub(crate) given: watch::Sender<Given>,
    /// Held while this member gives its own to another: to one at a time.
    pub(crate) giving: tokio::sync::Mutex<()>,
    /// It stands for election though it differs, since nobody else does.
    stands: AtomicBool,
    done: Mutex<Done>,
}

/// The leader's state on its way.
#[derive(Debug, Default)]
pub(crate) enum Given {
    #[default]
    Nothing,
    Part,
    Whole(Arc<[u8]>),
}

/// When the member started over.
#[derive(Debug, Default)]
struct Done(VecDeque<Instant>);

impl Done {
    fn note(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// Whether it did so as often as it may lately.
    fn is_enough(&mut self, now: Instant) -> bool {
        while self
            .0
            .front()
            .is_some_and(|at| now.duration_since(*at) >= HOUR)
        {
            self.0.pop_front();
        }
        self.0.len() >= MOST
    }
}

/// Starts over whenever the state is found not to be the leader's, for as long as this is polled.
pub(crate) async fn heed(
    raft: Raft,
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    log: LogReader,
) {
    let mut differing = shared.sums.differing();
    // The sums outlive the core.
    while differing.wait_for(Option::is_some).await.is_ok() {
        keep_evidence(&raft).await;
        let is_enough = |done: &Mutex<Done>| {
            let mut done = done.lock().expect("no holder panics");
            done.is_enough(Instant::now())
        };
        if is_enough(&shared.starting_over.done) {
            tracing::error!(
                "this manager's state is not the leader's, though it started over {MOST} times within an hour: {}",
                Differing::Stopped
            );
            shared.sums.give_up();
        } else {
            let mut attempts = Attempts {
                raft: &raft,
                shared: &shared,
                transport: transport.as_ref(),
                log: log.clone(),
            };
            attempts.persist().await;
        }
        while timeout(LONGEST_PAUSE, differing.wait_for(Option::is_none))
            .await
            .is_err()
        {
            lead::stand(&raft, &shared).await;
        }
    }
}

async fn keep_evidence(raft: &Raft) {
    let builder = raft.with_state_machine(|machine| {
        let builder = machine.builder();
        Box::pin(async { builder })
    });
    // Without a core there is nothing to be kept, and the next one sees to it.
    let Ok(builder) = builder.await else { return };
    match builder.keep_evidence().await {
        Ok(path) => {
            tracing::warn!(path = %path.display(), "the state that differs is kept, sealed")
        }
        Err(error) => tracing::error!(%error, "the state that differs cannot be kept"),
    }
}

/// What it takes to get the leader's state.
struct Attempts<'a> {
    raft: &'a Raft,
    shared: &'a Shared,
    transport: &'a dyn Transport,
    log: LogReader,
}

impl Attempts<'_> {
    /// Tries until it has worked, or a snapshot that was lacking anyway has brought the leader's state.
    async fn persist(&mut self) {
        let mut pause = FIRST_PAUSE;
        while self.shared.sums.differ() {
            let Err(reason) = self.attempt().await else {
                let done = &self.shared.starting_over.done;
                done.lock().expect("no holder panics").note(Instant::now());
                return tracing::info!("started over from the leader's state");
            };
            tracing::warn!(%reason, again_in = ?pause, "cannot start over yet");
            lead::stand(self.raft, self.shared).await;
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let leader = self.leader()?;
        let given = &self.shared.starting_over.given;
        given.send_replace(Given::Nothing);
        self.ask(&leader).await?;
        self.take_up(come(given.subscribe()).await?).await
    }

    /// Who leads, if it is another.
    fn leader(&self) -> Result<Member, Box<dyn Error + Send + Sync>> {
        let leader = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            metrics.current_leader
        };
        let leader = leader.ok_or("nobody leads")?;
        let mut others = self.shared.roster.others().into_iter();
        let leader = others.find(|member| member.raft_id == leader);
        leader.ok_or_else(|| "no other member leads".into())
    }

    async fn ask(&self, leader: &Member) -> Result<(), Box<dyn Error + Send + Sync>> {
        let question = encode(&ReadQuestion {
            to: leader.raft_id,
            wants_state: true,
        })?;
        let (roster, ask) = (&self.shared.roster, Ask::ReadIndex);
        let asked = question::put(self.transport, roster, leader, ask, question, ANSWER_WITHIN);
        match asked.await? {
            LeaderAnswer::Index(_) => Ok(()),
            other => Err(format!("member {} does not lead: {other:?}", leader.raft_id).into()),
        }
    }

    async fn take_up(&mut self, data: Arc<[u8]>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let last = SnapshotHead::from_bytes(&data)?.meta()?.last_log_id;
        let wait = self.raft.wait(Some(REACH_WITHIN));
        let index = last.map(|last| last.index);
        wait.applied_index_at_least(index, "what the leader's state is of")
            .await?;
        let mut log = self.log.clone();
        let taken = self.raft.with_state_machine(move |machine| {
            Box::pin(async move { machine.start_over(data, &mut log).await })
        });
        match taken.await?? {
            true => Ok(()),
            false => Err("a snapshot of this member's own is newer than the leader's state".into()),
        }
    }
}

/// The leader's state, once all of it has come.
async fn come(mut given: watch::Receiver<Given>) -> Result<Arc<[u8]>, &'static str> {
    loop {
        if let Given::Whole(data) = &*given.borrow_and_update() {
            return Ok(data.clone());
        }
        let heard = timeout(SILENCE, given.changed()).await;
        if !heard.is_ok_and(|changed| changed.is_ok()) {
            return Err("the leader does not send its state");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::store::Store;
    use swarmrs_security::{DataKey, Sealer};

    #[test]
    fn three_times_within_an_hour_are_enough() {
        let mut done = Done::default();
        let begin = Instant::now();
        for minutes in [0, 20, 40] {
            let now = begin + Duration::from_secs(60 * minutes);
            assert!(!done.is_enough(now));
            done.note(now);
        }
        assert!(done.is_enough(begin + Duration::from_secs(60 * 59)));
        assert!(!done.is_enough(begin + Duration::from_secs(60 * 60)));
    }

    #[tokio::test]
    async fn a_member_that_started_over_often_enough_stays_out_of_service_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(&DataKey::from_bytes([7; DataKey::LEN]));
        let config = Config::new(folder.path(), 1, "127.0.0.1:2377", sealer);
        let store = Store::open(config).await.unwrap();
        store.initialize().await.unwrap();
        let shared = store.shared().clone();
        let note = || {
            shared
                .starting_over
                .done
                .lock()
                .unwrap()
                .note(Instant::now())
        };
        (0..MOST).for_each(|_| note());
        let (index, sum) = shared.sums.newest().unwrap();
        shared.sums.compare((index, sum + 1));
        let mut differing = store.differing();
        let stopped = differing.wait_for(|now| *now == Some(Differing::Stopped));
        stopped.await.unwrap();
        let refused = store.read_index().await.unwrap_err().to_string();
        assert!(
            refused.ends_with("promote it again with an empty store"),
            "{refused}"
        );
        let kept = folder
            .path()
            .join(format!("snapshots/differing-{index:020}"));
        assert!(kept.exists());
    }
}
