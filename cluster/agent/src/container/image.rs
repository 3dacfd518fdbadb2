//! Images for many tasks at once: one pull per image in flight, whoever waits for it.
//!
//! Swarm asks the registry for every task unless the image is named by digest and already here. Twenty tasks that start
//! together ask once: what was found a moment ago still holds. A pull that fails is not yet a failure: if the image is
//! here the container is made from it, and if not, that failure is what the user reads.

use crate::executor::Failure;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use swarmrs_engine::Engine;
use tracing::warn;

/// How long an answer of the registry holds. Long enough for a burst of tasks, short against a push and the update that
/// follows it (whose image is pinned by digest anyway).
const HOLDS: Duration = Duration::from_secs(10);

/// Images remembered before those whose answer no longer holds are dropped.
const REMEMBERED: usize = 64;

/// What is asked for, and with which credential.
type Key = (String, Option<String>);
type Pull = BoxFuture<'static, Result<(), Failure>>;

/// Gets images.
pub struct Images {
    engine: Engine,
    offline: bool,
    pulls: Mutex<BTreeMap<Key, Entry>>,
}

enum Entry {
    /// Ends if all who wait for it give up.
    Flying(WeakShared<Pull>),
    Done {
        at: Instant,
        /// What the registry or the engine said, if it failed.
        complaint: Option<String>,
        /// The image turned out not to be here: the answer holds no longer.
        stale: bool,
    },
}

impl Entry {
    fn holds(&self) -> bool {
        matches!(self, Entry::Done { at, stale: false, .. } if at.elapsed() < HOLDS)
    }
}

/// How an image is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// By what it is: no registry can be asked.
    Id,
    /// By a digest: once it is here, no registry knows better.
    Digest,
    /// By a tag, which may have moved.
    Tag,
}

impl Images {
    pub fn new(engine: Engine, offline: bool) -> Self {
        Images {
            engine,
            offline,
            pulls: Mutex::default(),
        }
    }

    /// Does what can be done to have the image. Fails only if the engine is away; whether the image is here then shows
    /// when a container is made from it.
    pub async fn fetch(&self, image: &str, auth: Option<&str>) -> Result<(), Failure> {
        let named = named(image);
        if self.offline || named == Named::Id {
            return Ok(());
        }
        let key = (image.to_owned(), auth.map(str::to_owned));
        let Some(pull) = self.join(&key, named) else {
            return Ok(());
        };
        let outcome = pull.await;
        self.note(key, &outcome);
        match outcome {
            Err(Failure::Away(reason)) => Err(Failure::Away(reason)),
            _ => Ok(()),
        }
    }

    /// The image is not here: why it could not be had, if the last pull failed. The next task asks again.
    pub fn missing(&self, image: &str, auth: Option<&str>) -> Option<String> {
        let key = (image.to_owned(), auth.map(str::to_owned));
        match self.lock().get_mut(&key)? {
            Entry::Done {
                complaint, stale, ..
            } => {
                *stale = true;
                complaint.clone()
            }
            Entry::Flying(_) => None,
        }
    }

    /// The pull that is under way, or a new one; none if the last answer still holds.
    fn join(&self, key: &Key, named: Named) -> Option<Shared<Pull>> {
        let mut pulls = self.lock();
        match pulls.get(key) {
            Some(entry) if entry.holds() => return None,
            Some(Entry::Flying(pull)) => {
                if let Some(pull) = pull.upgrade() {
                    return Some(pull);
                }
            }
            _ => {}
        }
        let pull = pull(self.engine.clone(), key.clone(), named)
            .boxed()
            .shared();
        let flying = pull.downgrade().map(Entry::Flying)?;
        pulls.insert(key.clone(), flying);
        Some(pull)
    }

    fn note(&self, key: Key, outcome: &Result<(), Failure>) {
        let complaint = match outcome {
            Ok(()) => None,
            Err(Failure::Fatal { text, .. }) => Some(text.clone()),
            Err(Failure::Away(_)) => return,
        };
        let mut pulls = self.lock();
        // The first of those who waited notes it; the others must not make it look younger.
        if pulls.get(&key).is_some_and(Entry::holds) {
            return;
        }
        if pulls.len() >= REMEMBERED {
            pulls.retain(|_, entry| matches!(entry, Entry::Flying(_)) || entry.holds());
        }
        let done = Entry::Done {
            at: Instant::now(),
            complaint,
            stale: false,
        };
        pulls.insert(key, done);
    }

    /// Every change under the lock is one call: a holder that panicked left nothing half done.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pull(engine: Engine, (image, auth): Key, named: Named) -> Result<(), Failure> {
    if named == Named::Digest && engine.inspect_image(&image).await.is_ok() {
        return Ok(());
    }
    let pulled = engine.pull_image(&image, auth.as_deref()).await;
    pulled.map_err(|error| {
        warn!(%image, %error, "pulling image failed");
        super::controller::failure(&error)
    })
}

fn named(image: &str) -> Named {
    if is_id(image) {
        Named::Id
    } else if image.contains('@') {
        Named::Digest
    } else {
        Named::Tag
    }
}

/// `sha256:` and the digits of a digest: no repository is called that.
fn is_id(image: &str) -> bool {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    image.strip_prefix("sha256:").is_some_and(hex)
}

/// The image as Docker writes it into a container: without the default registry, and with a tag if nothing else says
/// which one is meant.
pub fn familiar(image: &str) -> String {
    if is_id(image) {
        return image.to_owned();
    }
    let bare = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|registry| image.strip_prefix(registry))
        .unwrap_or(image);
    let bare = match bare.strip_prefix("library/") {
        Some(name) if !name.contains('/') => name,
        _ => bare,
    };
    let last = bare.rsplit('/').next().unwrap_or(bare);
    if last.contains([':', '@']) {
        bare.to_owned()
    } else {
        format!("{bare}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_written_as_users_write_it() {
        for (image, expected) in [
            ("nginx", "nginx:latest"),
            ("nginx:1", "nginx:1"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("docker.io/me/app", "me/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("nginx:1@sha256:00", "nginx:1@sha256:00"),
            ("nginx@sha256:00", "nginx@sha256:00"),
        ] {
            assert_eq!(familiar(image), expected);
        }
        let id = format!("sha256:{}", "0".repeat(64));
        assert_eq!(familiar(&id), id);
    }

    #[test]
    fn only_a_moving_name_is_always_asked_for() {
        assert_eq!(named(&format!("sha256:{}", "a".repeat(64))), Named::Id);
        assert_eq!(named("sha256:latest"), Named::Tag);
        assert_eq!(named("app@sha256:00"), Named::Digest);
        assert_eq!(named("app:1@sha256:00"), Named::Digest);
        assert_eq!(named("localhost:5000/app"), Named::Tag);
    }
}
