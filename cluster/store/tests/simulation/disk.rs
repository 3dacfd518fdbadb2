//! Disks that forget: what was written and not synced may be lost, or torn, when the power goes.
//!
//! The files themselves are real and stand for what a running system shows to its processes. Beside them stands here,
//! for each file, what its disk has, and what was written since:
//!
//! ```text
//!   names     on disk, and links, renames and removals since the folder was synced, in order
//!   content   on disk, and writes since the file was synced
//! ```
//!
//! When the power goes each folder keeps some of its changes, from the first on, and each file some of its writes: all or
//! none, or the first of them with the last one torn, or any of them, sector by sector.

use crate::dice::Dice;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a disk writes as a whole or not at all, in bytes.
const SECTOR: usize = 512;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// By itself: all that it wrote is seen by the next one, and synced or not as before.
    Killed,
    /// With its machine.
    Powerless,
}

/// What is wrong with a disk that works otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trouble {
    #[default]
    None,
    /// So many of a hundred writes and syncs fail.
    Failing(u64),
    /// Nothing that is longer than before gets on it.
    Full,
}

/// What is about to happen on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Make,
    Write { end: u64, file: u64 },
    Sync,
    Name,
}

#[derive(Default)]
pub struct Disk {
    files: BTreeMap<u64, Content>,
    /// What the running system sees.
    names: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    unsynced: Vec<Naming>,
    last: u64,
    /// Death comes after so many steps.
    doom: Option<(u64, Death)>,
    /// Nothing that happens any more is of this world.
    pub dead: bool,
    pub trouble: Trouble,
    pub steps: u64,
}

#[derive(Clone, Default)]
struct Content {
    durable: Vec<u8>,
    since: Vec<Change>,
    length: u64,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Clone)]
enum Naming {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Disk {
    /// After so many more steps whoever uses the disk dies.
    pub fn doom(&mut self, steps: u64, death: Death) {
        self.doom = Some((steps, death));
    }

    /// Death does not come by itself any more.
    pub fn spare(&mut self) {
        self.doom = None;
    }

    /// Whether death comes with the next step.
    pub fn is_doomed(&self) -> bool {
        matches!(self.doom, Some((0..=1, _)))
    }

    /// Whether a step fails, and with which error. May be where death comes.
    pub fn before(&mut self, step: Step, dice: &mut Dice) -> Option<i32> {
        self.steps += 1;
        if let Some((steps, death)) = &mut self.doom {
            *steps = steps.saturating_sub(1);
            let (steps, death) = (*steps, *death);
            if steps == 0 {
                self.die(death, dice);
            }
        }
        if self.dead {
            return None;
        }
        match (self.trouble, step) {
            (Trouble::Failing(percent), Step::Make | Step::Write { .. } | Step::Sync) => {
                dice.percent(percent).then_some(libc::EIO)
            }
            (Trouble::Full, Step::Make) => Some(libc::ENOSPC),
            (Trouble::Full, Step::Write { end, file }) => {
                let length = self.files.get(&file).map_or(0, |content| content.length);
                (end > length).then_some(libc::ENOSPC)
            }
            _ => None,
        }
    }

    /// The file of that name, which is made if need be.
    pub fn open(&mut self, path: &Path, truncates: bool) -> u64 {
        let file = self.names.get(path).copied().unwrap_or_else(|| {
            self.last += 1;
            self.files.insert(self.last, Content::default());
            self.names.insert(path.to_owned(), self.last);
            self.unsynced.push(Naming::Link(path.to_owned(), self.last));
            self.last
        });
        if truncates {
            self.set_length(file, 0);
        }
        file
    }

    pub fn has(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    pub fn write(&mut self, file: u64, at: u64, bytes: &[u8]) {
        if let Some(content) = self.files.get_mut(&file) {
            content.length = content.length.max(at + bytes.len() as u64);
            content.since.push(Change::Write(at, bytes.to_owned()));
        }
    }

    pub fn set_length(&mut self, file: u64, length: u64) {
        if let Some(content) = self.files.get_mut(&file) {
            content.length = length;
            content.since.push(Change::Length(length));
        }
    }

    pub fn sync(&mut self, file: u64) {
        if let Some(content) = self.files.get_mut(&file) {
            for change in std::mem::take(&mut content.since) {
                change.make(&mut content.durable);
            }
        }
    }

    pub fn sync_folder(&mut self, folder: &Path) {
        let (here, rest) = std::mem::take(&mut self.unsynced)
            .into_iter()
            .partition(|naming| naming.is_in(folder));
        self.unsynced = rest;
        for naming in here {
            naming.make(&mut self.durable);
        }
    }

    pub fn rename(&mut self, from: &Path, to: &Path) {
        self.name(Naming::Rename(from.to_owned(), to.to_owned()));
    }

    pub fn remove(&mut self, path: &Path) {
        self.name(Naming::Remove(path.to_owned()));
    }

    fn name(&mut self, naming: Naming) {
        naming.clone().make(&mut self.names);
        self.unsynced.push(naming);
    }

    /// The disk as it is found after a death.
    pub fn die(&mut self, death: Death, dice: &mut Dice) {
        if self.dead {
            return;
        }
        (self.dead, self.doom) = (true, None);
        if death == Death::Powerless {
            self.lose(dice);
        }
    }

    fn lose(&mut self, dice: &mut Dice) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let kept = dice.below(unsynced.len() as u64 + 1) as usize;
        for naming in unsynced.into_iter().take(kept) {
            naming.make(&mut self.durable);
        }
        self.names = self.durable.clone();
        let named: Vec<u64> = self.names.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
        for content in self.files.values_mut() {
            content.lose(dice);
        }
    }

    /// All files as the next process finds them.
    pub fn found(&self) -> impl Iterator<Item = (&Path, Vec<u8>)> {
        let content = |file: &u64| self.files.get(file).map(Content::seen).unwrap_or_default();
        self.names
            .iter()
            .map(move |(path, file)| (path.as_path(), content(file)))
    }
}

impl Content {
    fn seen(&self) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in self.since.clone() {
            change.make(&mut bytes);
        }
        bytes
    }

    /// Lengths are the file system's, which keeps its own changes in order; bytes behind the end are nobody's.
    fn lose(&mut self, dice: &mut Dice) {
        let since = std::mem::take(&mut self.since);
        let whole = since.len() as u64;
        let kept = match dice.below(4) {
            0 => 0,
            1 => whole,
            _ => dice.below(whole + 1),
        };
        let in_order = dice.percent(60);
        let mut length = self.durable.len() as u64;
        for (number, change) in (0..).zip(since) {
            if number < kept || number == kept && dice.percent(50) {
                length = change.length_after(length);
            }
            match (in_order, number) {
                (true, number) if number < kept => change.make(&mut self.durable),
                (true, number) if number == kept => change.tear(&mut self.durable, dice),
                (true, _) => {}
                (false, _) if dice.percent(50) => change.make(&mut self.durable),
                (false, _) => change.tear(&mut self.durable, dice),
            }
        }
        self.durable.resize(length as usize, 0);
        self.length = length;
    }
}

impl Change {
    fn length_after(&self, before: u64) -> u64 {
        match self {
            Change::Write(at, new) => before.max(at + new.len() as u64),
            Change::Length(length) => *length,
        }
    }

    fn make(self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, new) => put(bytes, at as usize, &new),
            Change::Length(length) => bytes.resize(length as usize, 0),
        }
    }

    /// Some of its sectors reach the disk.
    fn tear(self, bytes: &mut Vec<u8>, dice: &mut Dice) {
        let Change::Write(at, new) = self else {
            return;
        };
        let mut from = 0;
        while from < new.len() {
            let place = at as usize + from;
            let to = new.len().min(from + SECTOR - place % SECTOR);
            if dice.percent(50) {
                put(bytes, place, &new[from..to]);
            }
            from = to;
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    let end = at + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(new);
}

impl Naming {
    fn is_in(&self, folder: &Path) -> bool {
        let (Naming::Link(path, _) | Naming::Rename(_, path) | Naming::Remove(path)) = self;
        path.parent() == Some(folder)
    }

    fn make(self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Naming::Link(path, file) => drop(names.insert(path, file)),
            Naming::Rename(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
            Naming::Remove(path) => drop(names.remove(&path)),
        }
    }
}
