//! The holder as swarmrsd sees it: found or started, spoken to, and told everything again when it is a new one.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use swarmrs_types::endpoint::{FactDiff, Facts};
use swarmrs_types::id::{NetworkId, RawId};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{error, info, warn};

use super::{Error, Launch, Plane};
use crate::holder::carrier::Settings;
use crate::holder::control::{Call, Reply, Request, VERSION};
use crate::holder::{frame, life};
use crate::port::BoundPort;
use crate::state_file::{StateError, StateFolder};

/// How long a call waits for a holder that is being started.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for its socket.
const LOOK: Duration = Duration::from_millis(20);
/// After a holder that could not be had.
pub(super) const BACK_OFF: Duration = Duration::from_secs(1);

/// Speaks to this node's holder, and keeps one running while the node is in a swarm. Dropped, it leaves the holder alone.
pub struct Handle {
    pub(super) inner: Arc<Inner>,
    attending: std::sync::Mutex<Option<AbortOnDrop>>,
}

pub(super) struct Inner {
    pub(super) launch: Launch,
    told: Mutex<Told>,
    attendance: watch::Sender<Attendance>,
}

/// Whether a holder of our build is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Attendance {
    /// The node is in no swarm: there need not be one.
    #[default]
    Unwanted,
    /// It is being looked for, or started.
    Awaited,
    Attends,
    /// It cannot be had for now.
    Failed(String),
}

/// What the holder was told, for the next one.
#[derive(Default)]
struct Told {
    /// Anything at all: before that, what the holder remembers is better than nothing.
    any: bool,
    facts: Facts,
}

impl Handle {
    /// Does nothing yet.
    pub fn new(launch: Launch) -> Self {
        Handle {
            inner: Arc::new(Inner {
                launch,
                told: Mutex::default(),
                attendance: watch::Sender::default(),
            }),
            attending: std::sync::Mutex::default(),
        }
    }

    /// From now on the node stands on these settings: the holder is found or started, now and whenever it is gone. Returns
    /// at once.
    pub fn attend(&self, settings: Settings) {
        self.inner.attendance.send_replace(Attendance::Awaited);
        let attending = tokio::spawn(self.inner.clone().attend(settings));
        *self.attending() = Some(AbortOnDrop(attending));
    }

    /// As [`Handle::attend`], on what the last holder stood on, by the state it left; without any, nothing happens.
    pub fn attend_as_before(&self) -> Result<(), StateError> {
        let state = self.inner.launch.state();
        if state.exists()
            && let Some(settings) = StateFolder::at(state)?.load()?.settings
        {
            self.attend(settings);
        }
        Ok(())
    }

    fn attending(&self) -> std::sync::MutexGuard<'_, Option<AbortOnDrop>> {
        self.attending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Inner {
    /// Keeps a holder there, for as long as it is polled.
    async fn attend(self: Arc<Self>, settings: Settings) {
        let mut child = None;
        loop {
            match self.session(&settings, &mut child).await {
                Ok(mut session) => {
                    self.attendance.send_replace(Attendance::Attends);
                    self.tell_again().await;
                    // It says nothing more; the end of the stream is its own.
                    let _ = session.read_u8().await;
                    self.attendance.send_replace(Attendance::Awaited);
                    warn!("the holder of this node's networks is gone");
                }
                Err(error) => {
                    self.fail(&error);
                    sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Says it once, and not every second.
    fn fail(&self, error: &Error) {
        let failed = Attendance::Failed(error.to_string());
        if self.attendance.send_replace(failed.clone()) != failed {
            error!(%error, "this node carries no networks");
        }
    }

    /// A holder of our build that stands on our settings.
    async fn session(
        &self,
        settings: &Settings,
        child: &mut Option<Child>,
    ) -> Result<UnixStream, Error> {
        let mut becoming = false;
        loop {
            let mut stream = self.connect(child).await?;
            let call = Call::Attend(settings.clone());
            let (build, pid) = match converse(&mut stream, call).await {
                Ok(Reply::Attended { build, pid }) => (build, pid),
                Ok(Reply::Version(theirs)) => {
                    info!(theirs, "replacing a holder that speaks another version");
                    self.retire(theirs).await;
                    continue;
                }
                Ok(reply) => return Err(unexpected(reply)),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(Error::Away(error)),
            };
            if build == life::build() {
                info!(pid, "holder attends");
                return Ok(stream);
            }
            info!(pid, build, "replacing the holder of another release");
            // One that does not know how, or did not become ours, ends.
            becoming = !becoming && self.has_become().await;
            if !becoming {
                self.retire(VERSION).await;
            }
        }
    }

    /// Tells a holder to become one of ours; false if it cannot. On return the former one hears nobody.
    async fn has_become(&self) -> bool {
        let call = Call::Become(self.launch.successor());
        let told = async {
            let mut stream = UnixStream::connect(self.launch.socket()).await?;
            match converse(&mut stream, call).await? {
                Reply::Done => {}
                reply => return Err(io::Error::other(unexpected(reply))),
            }
            // The end of the stream is its own.
            let _ = stream.read_u8().await;
            Ok(())
        };
        let told = told.await;
        told.inspect_err(|error| info!(%error, "it does not become ours"))
            .is_ok()
    }

    /// Tells a holder to end, in its own version of the language. Every version knows this call.
    async fn retire(&self, version: u32) {
        let request = Request {
            version,
            call: Call::Retire,
        };
        let told = async {
            let mut stream = UnixStream::connect(self.launch.socket()).await?;
            frame::send(&mut stream, &request).await?;
            // Whatever it says, it then closes the stream.
            stream.read_u8().await
        };
        // One that does not listen has ended, which is what we want of it.
        let _ = told.await;
        sleep(LOOK).await;
    }

    /// Connects, starting a holder if there is none.
    async fn connect(&self, child: &mut Option<Child>) -> Result<UnixStream, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut began = false;
        loop {
            if let Ok(stream) = UnixStream::connect(self.launch.socket()).await {
                return Ok(stream);
            }
            let ended = match child.as_mut() {
                Some(child) => child.try_wait().map_err(Error::Away)?,
                None => None,
            };
            match ended {
                // Whoever starts it for us has done so.
                Some(how) if began && how.success() => {}
                Some(how) if began => {
                    return Err(Error::Launch(format!("{how}; the log says why")));
                }
                None if child.is_some() => {}
                _ => {
                    let started = self.launch.start();
                    *child = Some(started.map_err(|error| Error::Launch(error.to_string()))?);
                    began = true;
                }
            }
            if Instant::now() > deadline {
                return Err(Error::Launch("its socket does not appear".to_owned()));
            }
            sleep(LOOK).await;
        }
    }

    /// A new holder knows what was on disk, which may be a moment old.
    async fn tell_again(&self) {
        let told = self.told.lock().await;
        if !told.any {
            return;
        }
        let call = Call::Tell {
            diff: told.facts.whole(),
            complete: true,
        };
        if let Err(error) = self.exchange(call).await {
            warn!(%error, "facts not told again");
        }
    }

    /// One call, made again if the holder goes away under it: each may be done twice.
    async fn call(&self, call: impl Fn() -> Call) -> Result<Reply, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut attendance = self.attendance.subscribe();
        loop {
            let settled = attendance.wait_for(|now| *now != Attendance::Awaited);
            match timeout_at(deadline, settled).await {
                Ok(Ok(now)) => match &*now {
                    Attendance::Failed(why) => return Err(Error::Launch(why.clone())),
                    Attendance::Unwanted => return Err(Error::Alone),
                    Attendance::Awaited | Attendance::Attends => {}
                },
                // Its sender is ours.
                Ok(Err(_)) => {}
                Err(_) => return Err(Error::Away(io::ErrorKind::TimedOut.into())),
            }
            match self.exchange(call()).await {
                Err(Error::Away(error)) if Instant::now() < deadline => {
                    info!(%error, "asking the holder once more");
                    sleep(LOOK).await;
                }
                answered => return answered,
            }
        }
    }

    /// Has a holder clear everything, be it one that is started for this alone: what an earlier one left in the kernel is
    /// found by its state.
    async fn clear(&self) -> Result<(), Error> {
        let running = UnixStream::connect(self.launch.socket()).await.is_ok();
        if !running && !self.launch.state().exists() {
            return Ok(());
        }
        let mut child = None;
        drop(self.connect(&mut child).await?);
        self.exchange(Call::Clear).await?;
        if let Some(mut child) = child {
            let _ = child.wait().await;
        }
        Ok(())
    }

    async fn exchange(&self, call: Call) -> Result<Reply, Error> {
        let stream = UnixStream::connect(self.launch.socket()).await;
        let mut stream = stream.map_err(Error::Away)?;
        match converse(&mut stream, call).await.map_err(Error::Away)? {
            reply @ (Reply::Failed(_) | Reply::Version(_)) => Err(unexpected(reply)),
            reply => Ok(reply),
        }
    }
}

pub(super) async fn converse(stream: &mut UnixStream, call: Call) -> io::Result<Reply> {
    frame::send(stream, &Request::of(call)).await?;
    frame::receive(stream).await
}

pub(super) fn unexpected(reply: Reply) -> Error {
    match reply {
        Reply::Failed(said) => Error::Refused(said),
        Reply::Version(theirs) => Error::Version(theirs),
        other => Error::Refused(format!("an answer to another question: {other:?}")),
    }
}

#[async_trait]
impl Plane for Handle {
    async fn tell(&self, diff: FactDiff, complete: bool) -> Result<(), Error> {
        // Held to the end: what is told first is in force first.
        let mut told = self.inner.told.lock().await;
        told.any = true;
        told.facts.take(&diff, complete);
        let call = || Call::Tell {
            diff: diff.clone(),
            complete,
        };
        self.inner.call(call).await.map(drop)
    }

    async fn drain(&self, network: NetworkId, owner: RawId, limit: Duration) -> Result<(), Error> {
        let call = || Call::Drain {
            network,
            owner,
            limit,
        };
        self.inner.call(call).await.map(drop)
    }

    async fn ports(&self) -> Result<Vec<BoundPort>, Error> {
        match self.inner.call(|| Call::Ports).await? {
            Reply::Ports(ports) => Ok(ports),
            other => Err(unexpected(other)),
        }
    }

    async fn warnings(&self) -> Result<Vec<String>, Error> {
        match self.inner.call(|| Call::Warnings).await? {
            Reply::Warnings(warnings) => Ok(warnings),
            other => Err(unexpected(other)),
        }
    }

    async fn clear(&self) -> Result<(), Error> {
        // No other is to take its place once it ends.
        drop(self.attending().take());
        let cleared = self.inner.clear().await;
        self.inner.attendance.send_replace(Attendance::Unwanted);
        *self.inner.told.lock().await = Told::default();
        cleared
    }
}
