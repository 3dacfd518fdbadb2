//! Recovery: from a folder to the parts of a core, or the reason why not.
//!
//! Everything is looked at before anything is changed: a folder that is refused is left as it was
//! found.

use crate::codec::{Codec, End, Mark, SnapshotRecord};
use crate::config::Config;
use crate::current::Shared;
use crate::error::Error;
use crate::folder::{Folder, Stage};
use crate::log::{Acknowledged, Disk, Growth, Loaded, LogStorage, Writer, go_on_alone, load};
use crate::machine::Machine;
use crate::raft_thread::Parts;
use crate::raw_log::{self, Contained, Kept, RawLog};
use crate::snapshot::Snapshots;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a folder holds, seen to be whole.
struct Found {
    log: Contained,
    loaded: Loaded,
    acknowledged: Acknowledged,
    machine: Machine,
    growth: Arc<Growth>,
}

/// Takes the folder, makes what is not there yet and reads what is.
pub(crate) fn open(config: &Config, shared: &Shared) -> Result<Parts, Error> {
    let codec = Codec::new(config.sealer.clone());
    check_presence(config)?;
    let folder = Folder::take(&config.folder)?;
    let threads = config.threads.clone();
    let snapshots = Snapshots::open(folder.snapshots(), codec.clone(), config.reserve, threads)?;
    let snapshots = Arc::new(snapshots);
    let snapshot = snapshots.load()?;
    let refused = |error: Error| error.with_snapshot(snapshots.path());
    prepare(&folder, config, &codec).map_err(refused)?;

    let path = folder.log(config.engine.name());
    let kept = Kept::of(&path).map_err(Error::file("read", &path))?;
    let found = find(
        config,
        &folder,
        &codec,
        snapshot.as_ref(),
        &snapshots,
        shared,
    );
    let found = found.map_err(|error| {
        if let Err(error) = kept.put_back() {
            tracing::error!(%error, path = %path.display(), "the log changed while it was read");
        }
        refused(error)
    })?;
    snapshots.clear()?;
    start(found, codec, folder, config, shared)
}

/// Reads log and snapshot and compares them with each other and with what is wanted.
fn find(
    config: &Config,
    folder: &Folder,
    codec: &Codec,
    snapshot: Option<&SnapshotRecord>,
    snapshots: &Arc<Snapshots>,
    shared: &Shared,
) -> Result<Found, Error> {
    let path = folder.log(config.engine.name());
    let (acknowledged, number) = Acknowledged::open(&folder.acknowledged())?;
    let open = || raw_log::open(config.engine, &path);
    let (mut log, mut loaded) = load(&path, codec, number, open)?;
    check_owner(config, &loaded)?;
    if !loaded.follows(snapshot.and_then(SnapshotRecord::last)) {
        return Err(Error::missing(&folder.snapshots()));
    }
    if config.was_initialized && !loaded.is_initialized() {
        return Err(Error::damaged(&path, "it is empty".to_owned()));
    }
    if config.goes_on_alone {
        let member = (config.raft_id, config.address.as_str());
        let gone = go_on_alone(
            &mut log,
            &mut loaded,
            &acknowledged,
            codec,
            snapshot,
            member,
        );
        gone.map_err(Error::file("write", &path))?;
    }
    let folded = snapshot.and_then(SnapshotRecord::last);
    let entries = loaded.entries_after(folded);
    let growth = Arc::new(Growth::new(entries, loaded.bytes, config.snapshot));
    let feed = shared.feed.clone();
    let roster = shared.roster.clone();
    let sums = shared.sums.clone();
    let mark = folder.mark(config.engine.name())?;
    let machine = Machine::new(
        snapshot,
        feed,
        snapshots.clone(),
        growth.clone(),
        roster,
        sums,
        mark,
    );
    let machine = machine.map_err(|reason| {
        let path = snapshots.path().unwrap_or_else(|| folder.snapshots());
        Error::damaged(&path, reason)
    })?;
    Ok(Found {
        log,
        loaded,
        acknowledged,
        machine,
        growth,
    })
}

fn start(
    found: Found,
    codec: Codec,
    folder: Folder,
    config: &Config,
    shared: &Shared,
) -> Result<Parts, Error> {
    let is_initialized = found.loaded.is_initialized();
    let (end, growth) = (found.loaded.end, found.growth);
    let measures = shared.measures.clone();
    let (log, acknowledged) = (found.log, found.acknowledged);
    let disk = Disk::new(log, codec, growth.clone(), end, acknowledged, measures);
    let writer = Writer::start(disk, shared.pace.clone(), &config.threads)?;
    shared.growth.store(Some(growth.clone()));
    shared
        .initialized
        .fetch_or(is_initialized, Ordering::AcqRel);
    Ok(Parts {
        log: LogStorage::new(found.loaded.cache, &writer),
        machine: found.machine,
        writer,
        growth,
        folder,
    })
}

/// A member that was initialized has a folder.
fn check_presence(config: &Config) -> Result<(), Error> {
    match config.was_initialized && !config.folder.exists() {
        true => Err(Error::missing(&config.folder)),
        false => Ok(()),
    }
}

/// Brings the folder to where its log can be opened.
fn prepare(folder: &Folder, config: &Config, codec: &Codec) -> Result<(), Error> {
    let engine = config.engine.name();
    match folder.stage(engine)? {
        Stage::InUse => Ok(()),
        Stage::Create | Stage::Finish if config.was_initialized => {
            Err(Error::missing(&folder.log(engine)))
        }
        Stage::Finish => folder.name_log(engine),
        Stage::Create => {
            create(folder, config, codec)?;
            folder.write_format(engine)?;
            folder.name_log(engine)
        }
    }
}

/// Makes an empty log that says whose it is.
fn create(folder: &Folder, config: &Config, codec: &Codec) -> Result<(), Error> {
    let path = folder.new_log(config.engine.name());
    let marks = [Mark::Owner(config.raft_id), Mark::End(End::default())];
    let make = || {
        Acknowledged::create(&folder.acknowledged())?;
        let mut log = raw_log::create(config.engine, &path)?;
        for mark in marks {
            let bytes = codec.mark(&mark).map_err(std::io::Error::other)?;
            log.meta(mark.name(), &bytes)?;
        }
        log.sync()
    };
    make().map_err(Error::file("create", &path))
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
