//! Who belongs to the agreement, as this member knows it, for all threads to look at.

use crate::error::Member;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Members that are, and members that were.
///
/// A number that left never comes back: whoever has it may be far behind or have lost what he promised. So
/// what he asks is refused, at any later time and by any member, and he learns from it that he left.
#[derive(Debug)]
pub(crate) struct Roster {
    raft_id: u64,
    addresses: ArcSwap<BTreeMap<u64, String>>,
    departed: ArcSwap<BTreeSet<u64>>,
    dismissed: watch::Sender<bool>,
}

impl Roster {
    /// The roster of member `raft_id`, who knows of nobody yet.
    pub(crate) fn new(raft_id: u64) -> Self {
        Roster {
            raft_id,
            addresses: ArcSwap::default(),
            departed: ArcSwap::default(),
            dismissed: watch::Sender::new(false),
        }
    }

    /// Where a member is now.
    pub(crate) fn address(&self, raft_id: u64) -> Option<String> {
        self.addresses.load().get(&raft_id).cloned()
    }

    /// All members but this one.
    pub(crate) fn others(&self) -> Vec<Member> {
        let addresses = self.addresses.load();
        let others = addresses.iter().filter(|(id, _)| **id != self.raft_id);
        let member = |(raft_id, address): (&u64, &String)| Member {
            raft_id: *raft_id,
            address: address.clone(),
        };
        others.map(member).collect()
    }

    pub(crate) fn set_addresses(&self, addresses: BTreeMap<u64, String>) {
        if **self.addresses.load() != addresses {
            self.addresses.store(Arc::new(addresses));
        }
    }

    /// Whether a member of that number was dismissed.
    pub(crate) fn has_left(&self, raft_id: u64) -> bool {
        self.departed.load().contains(&raft_id)
    }

    pub(crate) fn set_departed(&self, departed: &BTreeSet<u64>) {
        if **self.departed.load() != *departed {
            self.departed.store(Arc::new(departed.clone()));
        }
        if departed.contains(&self.raft_id) {
            self.dismiss();
        }
    }

    /// This member was told that it does not belong to the agreement any more.
    pub(crate) fn dismiss(&self) {
        let news = |dismissed: &mut bool| !std::mem::replace(dismissed, true);
        if self.dismissed.send_if_modified(news) {
            tracing::warn!(raft_id = self.raft_id, "this member was dismissed");
        }
    }

    pub(crate) fn dismissed(&self) -> watch::Receiver<bool> {
        self.dismissed.subscribe()
    }
}
