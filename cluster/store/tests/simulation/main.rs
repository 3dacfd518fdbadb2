//! Agreement in simulation: the store itself, with its consensus core and its log engine, on machines that lose power, in
//! a network that loses packets, by clocks that are set from here.
//!
//! ```text
//!   seed ──▶ dice ──▶ nemesis: power cuts, kills, stalls, cuts, bad weather, bad disks, changes of membership
//!                        │
//!   clients ──▶ members (a runtime, a clock, a disk each) ◀──▶ network
//!      │           │
//!      └─ told ────┴─ shown ──▶ history ──▶ is there one order that explains all of it?
//! ```
//!
//! A seed makes the same world whenever it is run. All that a process could draw chance from is in the simulation's hand:
//! its time is a paused clock that goes on in ticks, its randomness and its disk are in [`calls`], and all that it does is
//! done by one thread. Each world has a process of its own: what libraries count for a whole process, as the runtime does
//! for the order in which it looks at futures, begins anew with each.
//!
//! `SWARMRS_SIMULATION_SEEDS=1000` runs so many, `SWARMRS_SIMULATION_FIRST=7` begins with that one,
//! `SWARMRS_SIMULATION_STOP=1` ends with the first that breaks, and `SWARMRS_SIMULATION_TELL=1` tells what happens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod calls;
mod client;
mod dice;
mod disk;
mod history;
mod member;
mod nemesis;
mod network;
mod world;

use dice::Dice;
use disk::Death;
use nemesis::Nemesis;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use world::{Broken, World};

/// A few, for whoever tests everything; contrib/test.sh has a part that runs 500.
const SEEDS: u64 = 20;

/// The seed of the world that this process is to be.
const WORLD: &str = "SWARMRS_SIMULATION_WORLD";

/// Begins the line on which such a process says what came of it.
const TOLD: &str = "told: ";

/// How long things are broken, in ticks.
const UGLY: u64 = 650;

/// What came of one world.
#[derive(Debug, Default, PartialEq)]
struct Told {
    ticks: u64,
    steps: u64,
    writes: u64,
    reads: u64,
    unknown: u64,
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a task of the present world panicked with.
fn panicked() -> Option<String> {
    PANIC.take()
}

/// From here on a world learns of panics in it.
fn note_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match calls::is_simulated() {
            false => before(panic),
            true if swarmrs_store::panic_is_contained() => {}
            true => PANIC.set(Some(format!("a panic: {panic}"))),
        }));
    });
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given
        .and_then(|given| given.parse().ok())
        .unwrap_or(otherwise)
}

/// Tells what happens, if that is asked for.
fn tell(what: impl FnOnce() -> String) {
    static TELLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    if *TELLS.get_or_init(|| number("SWARMRS_SIMULATION_TELL", 0) > 0) {
        eprintln!("{}", what());
    }
}

fn live(dice: &mut Dice) -> Result<Told, Broken> {
    let mut world = World::new(dice);
    let count = dice.one_of(&[1, 3, 3, 3, 3, 3, 3, 5]);
    world.found(count)?;
    world.add_clients(dice.between(2, 5));
    let mut nemesis = Nemesis::new(dice, count);
    let end = world.now + UGLY;
    while world.now < end {
        world.step()?;
        nemesis.act(&mut world)?;
    }
    world.heal();
    world.dismiss_clients();
    settle(&mut world)?;
    let all: Vec<u64> = world.members.keys().copied().collect();
    all.iter()
        .for_each(|one| world.kill(*one, Death::Powerless));
    settle(&mut world)?;
    world.history.judge()?;
    let (writes, reads, unknown) = world.history.counts();
    let [writes, reads, unknown] = [writes, reads, unknown].map(|count| count as u64);
    Ok(Told {
        ticks: world.now,
        steps: calls::steps(),
        writes,
        reads,
        unknown,
    })
}

/// Once nothing is broken any more all members agree, and everybody can write and read by each.
fn settle(world: &mut World) -> Result<(), Broken> {
    world.wait("all agree", World::agrees)?;
    let (_, members) = world.leader().unwrap_or_default();
    for raft_id in members {
        let (numbers, history) = (world.numbers(), world.history.clone());
        world.until(
            "everybody can write",
            move |store| {
                let history = history.clone();
                let value = numbers.fetch_add(1, Ordering::Relaxed);
                async move {
                    let deed = history.begin(raft_id, None);
                    history.end(deed, client::read(&store).await);
                    let deed = history.begin(raft_id, Some((0, value)));
                    let written = client::write(&store, 0, value, Default::default()).await;
                    history.end(deed, written);
                    matches!(written, history::Outcome::Written(_))
                }
            },
            raft_id,
        )?;
    }
    world.wait("all agree again", World::agrees)
}

/// One world, in a process of its own.
fn run(seed: u64) -> Result<Told, Broken> {
    let program = std::env::current_exe().unwrap();
    let mut process = std::process::Command::new(program);
    process.args(["a_world_in_a_process_of_its_own", "--exact", "--nocapture"]);
    let output = process.env(WORLD, seed.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let told = said.lines().find_map(|line| line.strip_prefix(TOLD));
    let why = String::from_utf8_lossy(&output.stderr);
    tell(|| why.to_string());
    let numbers = told.map(|told| told.split(' ').map(|number| number.parse().unwrap()));
    match numbers.map(Iterator::collect::<Vec<u64>>).as_deref() {
        Some(&[ticks, steps, writes, reads, unknown]) => Ok(Told {
            ticks,
            steps,
            writes,
            reads,
            unknown,
        }),
        _ => Err(format!("{} {why}", output.status)),
    }
}

#[test]
fn a_world_in_a_process_of_its_own() {
    let Ok(seed) = std::env::var(WORLD) else {
        return;
    };
    note_panics();
    match live_alone(seed.parse().unwrap()) {
        Ok(told) => println!(
            "\n{TOLD}{} {} {} {} {}",
            told.ticks, told.steps, told.writes, told.reads, told.unknown
        ),
        Err(broken) => panic!("{broken}"),
    }
}

/// On a thread of its own, which simulates from its first step on.
fn live_alone(seed: u64) -> Result<Told, Broken> {
    let simulate = move || {
        let root = std::path::Path::new("/dev/shm")
            .join(format!("swarmrs-sim-{}-{seed}", std::process::id()));
        let mut dice = Dice::new(seed);
        calls::begin(&root, &mut dice);
        let lived = std::panic::catch_unwind(|| live(&mut dice.clone()));
        calls::end();
        // It may never have been made.
        let _removed = std::fs::remove_dir_all(&root);
        lived.unwrap_or_else(|_| Err(panicked().unwrap_or_default()))
    };
    let thread = std::thread::Builder::new().name(format!("seed {seed}"));
    thread
        .spawn(simulate)
        .unwrap()
        .join()
        .unwrap_or_else(|_| Err("the world itself broke".to_owned()))
}

#[test]
fn whatever_breaks_what_was_agreed_on_stays() {
    let (first, seeds) = (
        number("SWARMRS_SIMULATION_FIRST", 1),
        number("SWARMRS_SIMULATION_SEEDS", SEEDS),
    );
    let stops = number("SWARMRS_SIMULATION_STOP", 0) > 0;
    let next = Arc::new(AtomicU64::new(first));
    let sums = Arc::new(Mutex::new((Told::default(), Vec::new())));
    let begun = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                let is_over = stops && !sums.lock().unwrap().1.is_empty();
                if is_over || seed >= first + seeds {
                    return;
                }
                let told = run(seed);
                let mut sums = sums.lock().unwrap();
                match told {
                    Ok(told) => {
                        tell(|| format!("seed {seed}: {told:?}"));
                        sums.0.ticks += told.ticks;
                        sums.0.steps += told.steps;
                        sums.0.writes += told.writes;
                        sums.0.reads += told.reads;
                        sums.0.unknown += told.unknown;
                    }
                    Err(broken) => {
                        eprintln!("SWARMRS_SIMULATION_FIRST={seed} SWARMRS_SIMULATION_SEEDS=1: {broken}");
                        sums.1.push(seed);
                    }
                }
            });
        }
    });
    let (told, broken) = &*sums.lock().unwrap();
    eprintln!(
        "{seeds} seeds in {:.1} s: {told:?}",
        begun.elapsed().as_secs_f64()
    );
    assert!(broken.is_empty(), "seeds {broken:?}");
}

#[test]
fn a_seed_makes_the_same_world_again() {
    for seed in 1..=3 {
        let once = run(seed);
        assert_eq!(once, run(seed), "seed {seed}");
    }
}
