//! The view and those who follow it.
//!
//! The machine puts each new state in and tells every watcher what happened on the way to it, under
//! one lock; a watcher takes its first view under the same lock. So nothing can fall between the
//! view and the first batch. Each watcher has a queue of its own without a bound: one that lags
//! costs memory (events are shared, the states it holds on to are versions of one tree) and never
//! holds anybody up. Whoever looks at the view anyway, or may not look for long, takes a bell: it holds nothing.

use arc_swap::ArcSwap;
use std::sync::{Arc, Mutex};
use swarmrs_core::{Event, State};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::sync::oneshot;

/// What one run of applied entries did.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The last entry applied.
    pub index: u64,
    /// What happened, in order. Never empty.
    pub events: Arc<[Event]>,
    /// The state after it.
    pub state: Arc<State>,
}

/// Which events a watch is about.
pub type Interest = fn(&Event) -> bool;

/// A view, and everything that happens after it.
#[derive(Debug)]
pub struct Watch {
    view: Arc<State>,
    batches: UnboundedReceiver<Batch>,
}

impl Watch {
    /// The state at the moment the watch began. Batches follow on from here without a gap.
    pub fn view(&self) -> &Arc<State> {
        &self.view
    }

    /// The next batch; `None` once the store is closed. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// The next batch if there is one already.
    pub fn try_next(&mut self) -> Option<Batch> {
        self.batches.try_recv().ok()
    }
}

/// Says that something happened, and not what: as often as it rings, whoever comes late hears it once.
#[derive(Debug)]
pub struct Bell(Receiver<()>);

impl Bell {
    /// Waits until it has rung since the last time; false once the store is closed. May be dropped while it waits.
    pub async fn rung(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}

/// Where the machine puts states and readers find them.
#[derive(Debug)]
pub(crate) struct Feed {
    view: ArcSwap<State>,
    /// `None` once the store is closed.
    followers: Mutex<Option<Followers>>,
}

#[derive(Debug, Default)]
struct Followers {
    watchers: Vec<Watcher>,
    /// Who waits for the state up to an entry.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

#[derive(Debug)]
struct Watcher {
    interest: Interest,
    wants: Wants,
}

#[derive(Debug)]
enum Wants {
    Batches(UnboundedSender<Batch>),
    Ringing(Sender<()>),
}

impl Watcher {
    /// False when it is gone.
    fn tell(&self, batch: &Batch) -> bool {
        let concerns = batch.events.iter().any(self.interest);
        match &self.wants {
            Wants::Batches(batches) if concerns => batches.send(batch.clone()).is_ok(),
            Wants::Batches(batches) => !batches.is_closed(),
            // One that was not heard yet is enough.
            Wants::Ringing(bell) if concerns => bell.try_send(()) != Err(TrySendError::Closed(())),
            Wants::Ringing(bell) => !bell.is_closed(),
        }
    }
}

impl Feed {
    pub(crate) fn new(state: State) -> Self {
        Feed {
            view: ArcSwap::from_pointee(state),
            followers: Mutex::new(Some(Followers::default())),
        }
    }

    pub(crate) fn view(&self) -> Arc<State> {
        self.view.load_full()
    }

    pub(crate) fn watch(&self, interest: Interest) -> Watch {
        let (sender, batches) = unbounded_channel();
        let view = self.follow(interest, Wants::Batches(sender));
        Watch { view, batches }
    }

    pub(crate) fn bell(&self, interest: Interest) -> Bell {
        let (sender, rung) = channel(1);
        self.follow(interest, Wants::Ringing(sender));
        Bell(rung)
    }

    /// The view from which on the watcher is told.
    fn follow(&self, interest: Interest, wants: Wants) -> Arc<State> {
        let mut followers = self.followers.lock().expect("no holder panics");
        if let Some(followers) = followers.as_mut() {
            followers.watchers.push(Watcher { interest, wants });
        }
        self.view()
    }

    /// Returns once the view contains entry `index`. False: the store was closed before.
    pub(crate) async fn reach(&self, index: u64) -> bool {
        let reached = {
            let mut followers = self.followers.lock().expect("no holder panics");
            if self.view().applied() >= index {
                return true;
            }
            let Some(followers) = followers.as_mut() else {
                return false;
            };
            followers.waiting.retain(|(_, waits)| !waits.is_closed());
            let (sender, reached) = oneshot::channel();
            followers.waiting.push((index, sender));
            reached
        };
        reached.await.is_ok()
    }

    /// Shows `state`, which `events` led to, then calls `shown`, then tells the watchers: whoever waits for
    /// an answer is not kept waiting by all who follow.
    pub(crate) fn publish(&self, state: &State, events: Vec<Event>, shown: impl FnOnce()) {
        let state = Arc::new(state.clone());
        let mut followers = self.followers.lock().expect("no holder panics");
        self.view.store(state.clone());
        shown();
        let Some(followers) = followers.as_mut() else {
            return;
        };
        followers.answer(state.applied());
        if !events.is_empty() {
            let batch = Batch {
                index: state.applied(),
                events: events.into(),
                state,
            };
            followers.watchers.retain(|watcher| watcher.tell(&batch));
        }
    }

    /// Ends all watches. The view stays.
    pub(crate) fn close(&self) {
        *self.followers.lock().expect("no holder panics") = None;
    }
}

impl Followers {
    /// Everybody who waits for no more than entry `applied` has it.
    fn answer(&mut self, applied: u64) {
        for (_, waits) in self.waiting.extract_if(.., |(index, _)| *index <= applied) {
            // Nobody is there any more if whoever waited gave up.
            let _gone = waits.send(());
        }
    }
}
