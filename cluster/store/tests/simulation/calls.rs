//! What a simulated process asks of the system: caught here, so that the code under test runs as it is.
//!
//! The linker takes these functions for those of the C library. On a thread that simulates, files below its folder belong to
//! simulated disks, and randomness comes from the seed; everywhere else the system is asked.

#![expect(
    unsafe_code,
    reason = "functions of the C library are replaced, and ask the system in their turn"
)]

use crate::dice::Dice;
use crate::disk::{Death, Disk, Step, Trouble};
use libc::{c_char, c_int, c_long, c_uint, c_void, mode_t, off64_t, size_t, ssize_t};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

thread_local! {
    static IS_SIMULATED: Cell<bool> = const { Cell::new(false) };
    static MACHINES: RefCell<Option<Machines>> = const { RefCell::new(None) };
}

/// The machines of one simulation, below one folder each.
struct Machines {
    root: PathBuf,
    disks: BTreeMap<u64, Disk>,
    open: BTreeMap<c_int, Open>,
    /// For faults of disks.
    dice: Dice,
    /// For those who ask for randomness.
    random: Dice,
}

/// What a descriptor stands for.
#[derive(Clone)]
enum Open {
    File { machine: u64, file: u64 },
    Folder { machine: u64, path: PathBuf },
}

/// From here on this thread simulates.
pub fn begin(root: &Path, dice: &mut Dice) {
    let machines = Machines {
        root: root.to_owned(),
        disks: BTreeMap::new(),
        open: BTreeMap::new(),
        dice: dice.split(),
        random: dice.split(),
    };
    MACHINES.set(Some(machines));
    IS_SIMULATED.set(true);
}

/// The folder of a machine.
pub fn folder(machine: u64) -> PathBuf {
    with(|machines| machines.root.join(machine.to_string()))
}

/// After so many more steps of its disk, whoever runs on the machine dies; 0: now.
pub fn doom(machine: u64, steps: u64, death: Death) {
    with(|machines| {
        let disk = machines.disks.entry(machine).or_default();
        match steps {
            0 => disk.die(death, &mut machines.dice),
            steps => disk.doom(steps, death),
        }
    });
}

/// Nobody dies on that machine by himself any more.
pub fn spare(machine: u64) {
    with(|machines| machines.disks.entry(machine).or_default().spare());
}

/// Whether whoever ran there is dead.
pub fn is_dead(machine: u64) -> bool {
    with(|machines| machines.disks.get(&machine).is_some_and(|disk| disk.dead))
}

pub fn set_trouble(machine: u64, trouble: Trouble) {
    with(|machines| machines.disks.entry(machine).or_default().trouble = trouble);
}

/// Steps of all disks so far.
pub fn steps() -> u64 {
    with(|machines| machines.disks.values().map(|disk| disk.steps).sum())
}

/// Makes the files what the disk has, for the next process.
pub fn revive(machine: u64) {
    let (folder, files) = with(|machines| {
        let disk = machines.disks.entry(machine).or_default();
        disk.dead = false;
        let files = disk.found().map(|(path, bytes)| (path.to_owned(), bytes));
        (
            machines.root.join(machine.to_string()),
            files.collect::<Vec<_>>(),
        )
    });
    IS_SIMULATED.set(false);
    let made = remake(&folder, &files);
    IS_SIMULATED.set(true);
    made.expect("a folder in memory can be made");
}

fn remake(folder: &Path, files: &[(PathBuf, Vec<u8>)]) -> std::io::Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    for (path, bytes) in files {
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, bytes)?;
    }
    Ok(())
}

fn with<T>(act: impl FnOnce(&mut Machines) -> T) -> T {
    MACHINES.with_borrow_mut(|machines| act(machines.as_mut().expect("this thread simulates")))
}

/// The same for the caught functions, which others use too.
fn caught<T>(act: impl FnOnce(&mut Machines) -> Option<T>) -> Option<T> {
    if !IS_SIMULATED.try_with(Cell::get).unwrap_or(false) {
        return None;
    }
    MACHINES
        .try_with(|machines| act(machines.try_borrow_mut().ok()?.as_mut()?))
        .ok()?
}

impl Machines {
    fn machine_of(&self, path: &Path) -> Option<u64> {
        let below = path.strip_prefix(&self.root).ok()?;
        below.iter().next()?.to_str()?.parse().ok()
    }

    /// The disk of a machine that lives, after a step on it that went well; the error of one that fails.
    fn step(&mut self, machine: u64, step: Step) -> Option<Result<&mut Disk, c_int>> {
        let disk = self.disks.entry(machine).or_default();
        let failed = disk.before(step, &mut self.dice);
        match (disk.dead, failed) {
            (true, _) => None,
            (false, Some(error)) => Some(Err(error)),
            (false, None) => Some(Ok(disk)),
        }
    }

    fn file(&self, fd: c_int) -> Option<(u64, u64)> {
        match self.open.get(&fd)? {
            Open::File { machine, file } => Some((*machine, *file)),
            Open::Folder { .. } => None,
        }
    }

    /// A write is noted before death may come in the middle of it.
    fn write(&mut self, fd: c_int, at: u64, bytes: &[u8]) -> Option<Result<(), c_int>> {
        let (machine, file) = self.file(fd)?;
        let end = at + bytes.len() as u64;
        let (trouble, disk) = (&mut self.dice, self.disks.entry(machine).or_default());
        if disk.dead {
            return None;
        }
        if disk.is_doomed() {
            disk.write(file, at, bytes);
        }
        if let Some(error) = disk.before(Step::Write { end, file }, trouble) {
            return Some(Err(error));
        }
        if !disk.dead {
            disk.write(file, at, bytes);
        }
        Some(Ok(()))
    }
}

fn path_of<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: callers of the C library hand over strings that end with a zero.
    let text = unsafe { CStr::from_ptr(path) };
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the place is this thread's own.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// Fails if the simulated world says so, else asks the system.
fn unless_failed(outcome: Option<Result<(), c_int>>, ask: impl FnOnce() -> c_long) -> c_long {
    match outcome {
        Some(Err(error)) => c_long::from(fail(error)),
        Some(Ok(())) | None => ask(),
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let drawn = caught(|machines| {
        // SAFETY: the caller owns so many bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        for piece in bytes.chunks_mut(8) {
            piece.copy_from_slice(&machines.random.next().to_le_bytes()[..piece.len()]);
        }
        Some(length as ssize_t)
    });
    // SAFETY: the arguments are the caller's.
    drawn.unwrap_or_else(|| unsafe {
        libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let place = path_of(path);
    let makes = flags & libc::O_CREAT != 0;
    let truncates = flags & libc::O_TRUNC != 0;
    let before = caught(|machines| {
        let machine = machines.machine_of(place)?;
        let is_new = makes && !machines.disks.entry(machine).or_default().has(place);
        match is_new || truncates {
            true => machines
                .step(machine, Step::Make)
                .map(|step| step.map(|_| ())),
            false => Some(Ok(())),
        }
    });
    // SAFETY: the arguments are the caller's.
    let ask = || unsafe {
        libc::syscall(
            libc::SYS_openat,
            libc::AT_FDCWD,
            path,
            flags | libc::O_LARGEFILE,
            mode,
        )
    };
    let fd = unless_failed(before, ask) as c_int;
    let lasts = matches!(before, Some(Ok(())));
    if fd >= 0 && lasts {
        caught(|machines| {
            let machine = machines.machine_of(place)?;
            let disk = machines.disks.entry(machine).or_default();
            let open = match disk.has(place) || makes {
                true => Open::File {
                    machine,
                    file: disk.open(place, truncates),
                },
                false => Open::Folder {
                    machine,
                    path: place.to_owned(),
                },
            };
            machines.open.insert(fd, open)
        });
    }
    fd
}

#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    caught(|machines| machines.open.remove(&fd));
    // SAFETY: the argument is the caller's.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    at: off64_t,
) -> ssize_t {
    // SAFETY: the caller owns so many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) };
    let before = caught(|machines| machines.write(fd, at as u64, bytes));
    // SAFETY: the arguments are the caller's.
    unless_failed(before, || unsafe {
        libc::syscall(libc::SYS_pwrite64, fd, buffer, length, at)
    }) as ssize_t
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    let before = caught(|machines| {
        machines.file(fd)?;
        // SAFETY: asks where the caller's file stands, and the caller owns so many bytes.
        let (at, bytes) = unsafe {
            let at = libc::syscall(libc::SYS_lseek, fd, 0, libc::SEEK_CUR);
            (at, std::slice::from_raw_parts(buffer.cast::<u8>(), length))
        };
        machines.write(fd, u64::try_from(at).ok()?, bytes)
    });
    // SAFETY: the arguments are the caller's.
    unless_failed(before, || unsafe {
        libc::syscall(libc::SYS_write, fd, buffer, length)
    }) as ssize_t
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(fd: c_int, length: off64_t) -> c_int {
    let before = caught(|machines| {
        let (machine, file) = machines.file(fd)?;
        let end = length as u64;
        let step = machines.step(machine, Step::Write { end, file })?;
        Some(step.map(|disk| disk.set_length(file, end)))
    });
    // SAFETY: the arguments are the caller's.
    unless_failed(before, || unsafe {
        libc::syscall(libc::SYS_ftruncate, fd, length)
    }) as c_int
}

fn sync(fd: c_int) -> c_int {
    let before = caught(|machines| {
        let open = machines.open.get(&fd)?.clone();
        let (Open::File { machine, .. } | Open::Folder { machine, .. }) = open;
        let step = machines.step(machine, Step::Sync)?;
        Some(step.map(|disk| match &open {
            Open::File { file, .. } => disk.sync(*file),
            Open::Folder { path, .. } => disk.sync_folder(path),
        }))
    });
    // Files in memory need no sync, and nothing else is synced on these threads.
    unless_failed(before, || 0) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let before = caught(|machines| {
        let (from, to) = (path_of(from), path_of(to));
        let machine = machines.machine_of(from)?;
        let step = machines.step(machine, Step::Name)?;
        Some(step.map(|disk| disk.rename(from, to)))
    });
    // SAFETY: the arguments are the caller's.
    unless_failed(before, || unsafe {
        libc::syscall(libc::SYS_rename, from, to)
    }) as c_int
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    let before = caught(|machines| {
        let place = path_of(path);
        let machine = machines.machine_of(place)?;
        let step = machines.step(machine, Step::Name)?;
        Some(step.map(|disk| disk.remove(place)))
    });
    // SAFETY: the argument is the caller's.
    unless_failed(before, || unsafe { libc::syscall(libc::SYS_unlink, path) }) as c_int
}
