//! Recovery: from a folder to the parts of a core, or the reason why not.

use crate::codec::{Codec, Mark};
use crate::config::Config;
use crate::error::Error;
use crate::folder::{Folder, Stage};
use crate::log::{Growth, Loaded, LogStorage, Writer, load};
use crate::machine::Machine;
use crate::raft_thread::Parts;
use crate::raw_log::{RawLog, Redb};
use crate::snapshot::Snapshots;
use crate::watch::Feed;
use std::path::Path;
use std::sync::Arc;

/// A store that can be started.
pub(super) struct Opened {
    pub(super) parts: Parts,
    pub(super) feed: Arc<Feed>,
    pub(super) is_initialized: bool,
}

/// Takes the folder, makes what is not there yet and reads what is.
pub(super) fn open(config: &Config) -> Result<Opened, Error> {
    let codec = Codec::new(config.sealer.clone());
    let folder = Folder::take(&config.folder)?;
    let snapshots = Snapshots::open(folder.snapshots(), codec.clone(), config.reserve)?;
    let snapshots = Arc::new(snapshots);
    let snapshot = snapshots.load()?;

    let path = folder.log(Redb::NAME);
    let prepared = prepare(&folder, config.raft_id, &codec);
    let read = prepared.and_then(|()| load(&path, &codec, || Redb::open(&path)));
    let (log, loaded) = read.map_err(|error| error.with_snapshot(snapshots.path()))?;
    check_owner(config, &loaded)?;
    if !loaded.follows(snapshot.as_ref().and_then(|record| record.last())) {
        return Err(Error::Missing {
            path: folder.snapshots(),
            snapshot: snapshots.path(),
        });
    }

    let growth = Arc::new(Growth::new(loaded.bytes, config.snapshot.bytes));
    let is_initialized = loaded.is_initialized();
    let (machine, feed) = Machine::new(snapshot.as_ref(), snapshots.clone(), growth.clone())
        .map_err(|reason| Error::Damaged {
            path: snapshots.path().unwrap_or_else(|| folder.snapshots()),
            reason,
            snapshot: None,
        })?;
    let writer = Writer::start(log, codec, growth.clone())?;
    let parts = Parts {
        log: LogStorage::new(loaded.cache, &writer),
        machine,
        writer,
        growth,
        folder,
    };
    Ok(Opened {
        parts,
        feed,
        is_initialized,
    })
}

/// Brings the folder to where its log can be opened.
fn prepare(folder: &Folder, raft_id: u64, codec: &Codec) -> Result<(), Error> {
    let engine = Redb::NAME;
    match folder.stage(engine)? {
        Stage::InUse => Ok(()),
        Stage::Finish => folder.name_log(engine),
        Stage::Create => {
            create(&folder.new_log(engine), raft_id, codec)?;
            folder.write_format(engine)?;
            folder.name_log(engine)
        }
    }
}

/// Makes an empty log that says whose it is.
fn create(path: &Path, raft_id: u64, codec: &Codec) -> Result<(), Error> {
    let owner = Mark::Owner(raft_id);
    let bytes = codec
        .mark(&owner)
        .map_err(|error| Error::Consensus(error.to_string()))?;
    let make = || {
        let mut log = Redb::create(path)?;
        log.meta(owner.name(), &bytes)?;
        log.sync()
    };
    make().map_err(Error::file("create", path))
}

/// A member that came back under another number could vote twice in one term.
fn check_owner(config: &Config, loaded: &Loaded) -> Result<(), Error> {
    if loaded.owner == config.raft_id {
        return Ok(());
    }
    Err(Error::OtherMember {
        folder: config.folder.clone(),
        found: loaded.owner,
        wanted: config.raft_id,
    })
}
