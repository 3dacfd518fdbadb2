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

mod bugs;
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
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use world::{Broken, World};

/// A few, for whoever tests everything; contrib/test.sh has a part that runs 500.
const SEEDS: u64 = 20;

/// The seed of the world that this process is to be. Its machines have their files in the folder where it was started.
const WORLD: &str = "SWARMRS_SIMULATION_WORLD";

/// Begins the line on which such a process says what came of it.
const TOLD: &str = "told: ";

/// How long things are broken, in ticks.
const UGLY: u64 = 650;

/// What came of one world.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    ticks: u64,
    steps: u64,
    writes: u64,
    reads: u64,
    unknown: u64,
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
    let count = dice.one_of(&[1, 3, 3, 3, 3, 3, 5, 5]);
    world.found(count)?;
    world.add_clients(dice.between(2, 5));
    let mut nemesis = Nemesis::new(dice, count);
    let end = world.now + UGLY;
    while world.now < end {
        world.step()?;
        nemesis.act(&mut world);
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
    world.wait("all agree again", World::agrees)?;
    world.compare()
}

/// One world, in a process of its own.
fn run(seed: u64) -> Result<Told, Broken> {
    let folder = tempfile::TempDir::with_prefix_in("swarmrs-sim-", "/dev/shm").unwrap();
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args(["a_world_in_a_process_of_its_own", "--exact", "--nocapture"]);
    process.env(WORLD, seed.to_string()).current_dir(&folder);
    let output = process.output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    tell(|| why.to_string());
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().find_map(|line| line.strip_prefix(TOLD)) {
        Some(told) => serde_json::from_str(told).unwrap(),
        None => Err(format!("{} {why}", output.status)),
    }
}

/// Says what came of the world that this process is.
fn say(lived: &Result<Told, Broken>) {
    println!("\n{TOLD}{}", serde_json::to_string(lived).unwrap());
}

#[test]
fn a_world_in_a_process_of_its_own() {
    let Ok(seed) = std::env::var(WORLD) else {
        return;
    };
    // Its runtimes would go on without the task.
    std::panic::set_hook(Box::new(|panic| {
        if !swarmrs_store::panic_is_contained() {
            say(&Err(format!("a panic: {panic}")));
            std::process::exit(1);
        }
    }));
    let mut dice = Dice::new(seed.parse().unwrap());
    let simulate = move || {
        calls::begin(&std::env::current_dir().unwrap(), &mut dice);
        say(&live(&mut dice));
    };
    // What is drawn once for each thread comes from the seed too: this one simulates from its first step on.
    std::thread::spawn(simulate).join().unwrap();
}

#[test]
fn whatever_breaks_what_was_agreed_on_stays() {
    let (first, seeds) = (
        number("SWARMRS_SIMULATION_FIRST", 1),
        number("SWARMRS_SIMULATION_SEEDS", SEEDS),
    );
    let stops = number("SWARMRS_SIMULATION_STOP", 0) > 0;
    let next = AtomicU64::new(first);
    let sums = Mutex::new((Told::default(), Vec::new()));
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
    let (told, broken) = sums.into_inner().unwrap();
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
