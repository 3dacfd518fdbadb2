//! What others do to the host's rules: heard as it happens, so that what of ours they took along is soon back.
//!
//! A firewall that is loaded anew, an engine that starts, an administrator who flushes everything: the kernel tells of each
//! change and of who made it. Changes of ours are passed over. Rules of the old kind (`iptables-legacy`) are not told of; for
//! them the plane looks by itself now and then.

use super::Tag;
use super::worker::{Job, Worker};
use crate::firewall::Family;
use crate::mesh;
use crate::netlink::{Protocol, Said, Socket, attribute};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// `NFNLGRP_NFTABLES`. Source: linux/netfilter/nfnetlink.h.
const RULES_CHANGED: u32 = 7;
/// A change comes in parts: the engine's tables, and after them what leads to its chains.
const GATHER: Duration = Duration::from_millis(30);
/// Where rules change all the time, the look that follows is a burden.
const PAUSE: Duration = Duration::from_millis(500);

// Kinds of messages. Source: linux/netfilter/nf_tables.h.
const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const DELETE_CHAIN: u16 = 5;
const DELETE_RULE: u16 = 8;
/// A change of any kind ends with one of these.
const GENERATIONS: std::ops::RangeInclusive<u16> = 15..=16;

/// Ends with being dropped.
pub(super) struct News {
    jobs: Arc<Mutex<Option<Sender<Job>>>>,
    task: JoinHandle<()>,
}

impl News {
    /// Listens in the calling thread's namespace. `own` is the socket that our changes are made with.
    pub(super) fn listen(tag: Tag, own: u32, jobs: Sender<Job>) -> io::Result<News> {
        let socket = Socket::listen(Protocol::Netfilter, RULES_CHANGED)?;
        let jobs = Arc::new(Mutex::new(Some(jobs)));
        let listener = Listener {
            tag,
            own,
            socket,
            jobs: Arc::clone(&jobs),
        };
        let task = tokio::spawn(listener.serve());
        Ok(News { jobs, task })
    }
}

impl Drop for News {
    fn drop(&mut self) {
        // The plane's thread ends with the last sender, and is not to wait for the task.
        *self.jobs.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.task.abort();
    }
}

struct Listener {
    tag: Tag,
    own: u32,
    socket: Socket,
    jobs: Arc<Mutex<Option<Sender<Job>>>>,
}

/// How far others went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Nothing,
    /// Tables, chains or rules that ours stand among or beside.
    Others,
    /// Tables of ours.
    Ours,
}

impl Listener {
    async fn serve(mut self) {
        let Ok(readable) = self.readable() else {
            tracing::warn!("changes of the host's rules by others are noticed late");
            return;
        };
        loop {
            let Ok(mut ready) = readable.readable().await else {
                return;
            };
            let mut reach = self.hear();
            ready.clear_ready();
            if reach == Reach::Nothing {
                continue;
            }
            tokio::time::sleep(GATHER).await;
            reach = reach.max(self.hear());
            if !self.report(reach) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    #[expect(
        unsafe_code,
        reason = "the registration owns its descriptor, which stays the same and is closed after it"
    )]
    fn readable(&self) -> io::Result<AsyncFd<OwnedFd>> {
        let fd = self.socket.as_fd().try_clone_to_owned()?;
        // SAFETY: an owned descriptor is open as long as it lives, and gives always the same one.
        let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        Ok(registered?)
    }

    /// All that was said until now.
    fn hear(&mut self) -> Reach {
        let mut reach = Reach::Nothing;
        loop {
            match self.socket.hear() {
                Ok(said) if said.is_empty() => return reach,
                Ok(said) => {
                    let of = said.iter().map(|one| judge(one, &self.tag, self.own));
                    reach = of.fold(reach, Reach::max);
                }
                // More was said than was kept for us.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => reach = Reach::Ours,
                Err(_) => return reach,
            }
        }
    }

    fn report(&self, reach: Reach) -> bool {
        let job = move |worker: &mut Worker| worker.others_changed(reach == Reach::Ours);
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jobs.as_ref().map(|jobs| jobs.send(Box::new(job)));
        matches!(sent, Some(Ok(())))
    }
}

fn judge(said: &Said, tag: &Tag, own: u32) -> Reach {
    let (subsystem, kind) = (said.kind >> 8, said.kind & 0xff);
    if subsystem != SUBSYSTEM || said.by == own || GENERATIONS.contains(&kind) {
        return Reach::Nothing;
    }
    let name = said.payload.get(4..).and_then(|rest| attribute(rest, 1));
    let ours = mesh::table(tag, Family::Ip).name;
    if name.is_some_and(|name| name.strip_suffix(&[0]) == Some(ours.as_bytes())) {
        return Reach::Ours;
    }
    match kind {
        NEW_TABLE | DELETE_TABLE | NEW_CHAIN | DELETE_CHAIN | DELETE_RULE => Reach::Others,
        _ => Reach::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn said(kind: u16, by: u32, table: &str) -> Said {
        let mut payload = vec![2, 0, 0, 0];
        payload.extend((5 + table.len() as u16).to_ne_bytes());
        payload.extend([1, 0]);
        payload.extend(table.bytes());
        payload.push(0);
        Said {
            kind: SUBSYSTEM << 8 | kind,
            sequence: 0,
            by,
            payload,
        }
    }

    #[test]
    fn what_others_do_counts_and_what_we_do_does_not() {
        let tag = Tag::of(Path::new("/run/swarmrs"));
        let ours = mesh::table(&tag, Family::Ip).name;
        let reach = |kind, by, table: &str| judge(&said(kind, by, table), &tag, 7);
        assert_eq!(reach(DELETE_TABLE, 9, &ours), Reach::Ours);
        assert_eq!(reach(14, 9, &ours), Reach::Ours);
        assert_eq!(reach(DELETE_TABLE, 7, &ours), Reach::Nothing);
        assert_eq!(reach(DELETE_RULE, 9, "filter"), Reach::Others);
        assert_eq!(reach(6, 9, "filter"), Reach::Nothing);
        assert_eq!(reach(15, 9, &ours), Reach::Nothing);
        assert_eq!(reach(DELETE_TABLE, 9, &format!("{ours}x")), Reach::Others);
    }
}
