//! What swarmrsd says to the holder, and is told.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use swarmrs_types::endpoint::FactDiff;
use swarmrs_types::id::{NetworkId, RawId};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::carrier::Settings;
use super::frame;
use super::ground::Ground;
use super::lifeline;
use crate::port::BoundPort;

/// Of this conversation. One that differs is refused by its number.
pub const VERSION: u32 = 1;

/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);

/// A call, alone on its connection.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub version: u32,
    pub call: Call,
}

impl Request {
    pub fn of(call: Call) -> Self {
        Request {
            version: VERSION,
            call,
        }
    }
}

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Says what the node stands on. The connection then stays open: its end is the holder's.
    Attend(Settings),
    Tell {
        diff: FactDiff,
        complete: bool,
    },
    Drain {
        network: NetworkId,
        owner: RawId,
        limit: Duration,
    },
    Ports,
    Warnings,
    /// A socket follows: it is held open until the connection says otherwise.
    Keep,
    /// Everything goes: rules, links, state and the holder itself.
    Clear,
    /// The holder ends and leaves everything for the next one.
    Retire,
    /// It becomes a holder of another build: nothing that waits for packets or connections is closed meanwhile.
    Become(Successor),
}

/// A program that is a holder of the same node, with its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Who this is: which build, and which process.
    Attended {
        build: String,
        pid: u32,
    },
    Done,
    Ports(Vec<BoundPort>),
    Warnings(Vec<String>),
    Failed(String),
    /// The caller speaks another version than this one.
    Version(u32),
}

/// Why the holder ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Cleared,
    Retired,
    Becomes(Successor),
}

/// Serves swarmrsd until it says that this is the end.
pub async fn serve(listener: &UnixListener, ground: Arc<Ground>) -> End {
    let (end, mut ended) = watch::channel(None::<End>);
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ended.changed() => {
                if let Some(end) = &*ended.borrow() {
                    return end.clone();
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                open.spawn(converse(stream, ground.clone(), end.clone()));
            }
            Err(error) => {
                warn!(%error, "the holder takes no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(mut stream: UnixStream, ground: Arc<Ground>, end: watch::Sender<Option<End>>) {
    if let Err(error) = hear(&mut stream, &ground, &end).await {
        debug!(%error, "connection of swarmrsd to the holder");
    }
}

async fn hear(
    stream: &mut UnixStream,
    ground: &Ground,
    end: &watch::Sender<Option<End>>,
) -> io::Result<()> {
    let request: serde_json::Value = frame::receive(stream).await?;
    let version = request["version"].as_u64();
    if version != Some(u64::from(VERSION)) {
        return frame::send(stream, &Reply::Version(VERSION)).await;
    }
    let call = match Call::deserialize(&request["call"]) {
        Ok(call) => call,
        Err(error) => {
            let said = format!("no call of the holder: {error}");
            return frame::send(stream, &Reply::Failed(said)).await;
        }
    };
    let last = match &call {
        Call::Clear => Some(End::Cleared),
        Call::Retire => Some(End::Retired),
        Call::Become(successor) => Some(End::Becomes(successor.clone())),
        _ => None,
    };
    let keeps = matches!(call, Call::Keep);
    let attends = matches!(call, Call::Attend(_));
    let reply = answer(call, ground).await;
    let failed = matches!(reply, Reply::Failed(_));
    frame::send(stream, &reply).await?;
    match last {
        Some(last) if !failed => {
            info!(end = ?last, "told to end");
            end.send_replace(Some(last));
            // The end of the stream says that nobody is heard any more.
            std::future::pending().await
        }
        _ if attends && !failed => {
            until_gone(stream).await;
            // If we are killed before it is back, this is all that the next one has.
            ground.save().await;
        }
        _ if keeps => lifeline::hold(stream).await?,
        _ => {}
    }
    Ok(())
}

async fn answer(call: Call, ground: &Ground) -> Reply {
    let done = match call {
        Call::Attend(settings) => match ground.settle(settings).await {
            Ok(()) => {
                return Reply::Attended {
                    build: super::life::build(),
                    pid: std::process::id(),
                };
            }
            Err(error) => Err(error),
        },
        Call::Tell { diff, complete } => ground.tell(&diff, complete).await,
        Call::Drain {
            network,
            owner,
            limit,
        } => ground.drain(network, owner, limit).await,
        Call::Ports => return Reply::Ports(ground.ports().await),
        Call::Warnings => return Reply::Warnings(ground.warnings().await),
        Call::Clear => ground.clear().await,
        Call::Retire | Call::Become(_) | Call::Keep => Ok(()),
    };
    done.map_or_else(Reply::Failed, |()| Reply::Done)
}

/// Nothing more is said; the connection ends with the one or the other.
async fn until_gone(stream: &mut UnixStream) {
    let mut nothing = [0; 1];
    while let Ok(true) = stream.readable().await.map(|()| true) {
        match stream.try_read(&mut nothing) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}
