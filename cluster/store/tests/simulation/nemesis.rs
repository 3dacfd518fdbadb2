//! Whoever breaks things: what, when and for how long is drawn.

use crate::calls;
use crate::dice::Dice;
use crate::disk::{Death, Trouble};
use crate::network::{Weather, member};
use crate::world::World;

/// What can be done to a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mischief {
    PowerCut,
    Kill,
    /// Power goes in the middle of what a disk does.
    DoomedWrite,
    AllAtOnce,
    Stop,
    Stall,
    Isolate,
    OneWay,
    Split,
    /// A leader is left with one who still asks it.
    Pair,
    /// A leader is cut off, writes what nobody takes, and dies soon after it has found out.
    Depose,
    /// One stays away until the others have forgotten what he lacks, and dies soon after he is back.
    Away,
    BadWeather,
    SlowDisk,
    FailingDisk,
    FullDisk,
    HandOver,
    Admit,
    Dismiss,
    ClockJump,
}

const ALL: [Mischief; 20] = [
    Mischief::PowerCut,
    Mischief::Kill,
    Mischief::DoomedWrite,
    Mischief::AllAtOnce,
    Mischief::Stop,
    Mischief::Stall,
    Mischief::Isolate,
    Mischief::OneWay,
    Mischief::Split,
    Mischief::Pair,
    Mischief::Depose,
    Mischief::Away,
    Mischief::BadWeather,
    Mischief::SlowDisk,
    Mischief::FailingDisk,
    Mischief::FullDisk,
    Mischief::HandOver,
    Mischief::Admit,
    Mischief::Dismiss,
    Mischief::ClockJump,
];

/// An hour, in nanoseconds.
const HOUR: u64 = 3_600_000_000_000;

pub struct Nemesis {
    dice: Dice,
    /// What it does in this world.
    means: Vec<Mischief>,
    next_at: u64,
    /// The longest peace between two deeds, in ticks.
    peace: u64,
    undo: Vec<(u64, Undo)>,
    newest: u64,
}

#[derive(Clone, Copy)]
enum Undo {
    Cuts,
    /// The member's next writes are its last.
    Return(u64),
    Weather,
    Disk(u64),
}

impl Nemesis {
    pub fn new(dice: &mut Dice, newest: u64) -> Self {
        let mut dice = dice.split();
        let mut means: Vec<Mischief> = ALL.into_iter().filter(|_| dice.percent(40)).collect();
        means.push(dice.one_of(&ALL));
        means.push(Mischief::DoomedWrite);
        let peace = dice.between(40, 160);
        Nemesis {
            dice,
            means,
            next_at: 40,
            peace,
            undo: Vec::new(),
            newest,
        }
    }

    /// Does what is due.
    pub fn act(&mut self, world: &mut World) {
        let now = world.now;
        let undo = self.undo.iter().copied();
        let (due, later): (Vec<_>, Vec<_>) = undo.partition(|(at, _)| *at <= now);
        self.undo = later;
        for (_, undo) in due {
            self.undo_one(world, undo);
        }
        if self.next_at <= now {
            self.next_at = now + self.dice.between(10, self.peace);
            let mischief = self.dice.one_of(&self.means);
            let target = self.target(world);
            crate::tell(|| format!("{now:5} {mischief:?} {target}; {}", world.picture()));
            self.do_it(world, mischief, target);
        }
    }

    /// More often than not whoever leads.
    fn target(&mut self, world: &World) -> u64 {
        let leader = world.leader().map(|(leader, _)| leader);
        match leader.filter(|_| self.dice.percent(55)) {
            Some(leader) => leader,
            None => {
                let all: Vec<u64> = world.members.keys().copied().collect();
                self.dice.one_of(&all)
            }
        }
    }

    fn do_it(&mut self, world: &mut World, mischief: Mischief, target: u64) {
        match mischief {
            Mischief::PowerCut => world.kill(target, Death::Powerless),
            Mischief::Kill => world.kill(target, Death::Killed),
            Mischief::DoomedWrite => {
                let death = self.dice.one_of(&[Death::Powerless, Death::Killed]);
                calls::doom(target, self.dice.between(1, 40), death);
            }
            Mischief::AllAtOnce => {
                let all: Vec<u64> = world.members.keys().copied().collect();
                all.iter()
                    .for_each(|one| world.kill(*one, Death::Powerless));
            }
            Mischief::Stop => world.stop(target),
            Mischief::Stall => world.stall(target, self.dice.between(20, 400)),
            Mischief::Isolate | Mischief::OneWay | Mischief::Split | Mischief::Pair => {
                self.cut(world, mischief, target);
                self.later(world, 400, Undo::Cuts);
            }
            Mischief::Depose => {
                let leader = world.leader().map_or(target, |(leader, _)| leader);
                self.cut(world, Mischief::Isolate, leader);
                self.undo.push((
                    world.now + self.dice.between(100, 300),
                    Undo::Return(leader),
                ));
            }
            Mischief::Away => {
                let away = self.dice.between(80, 300);
                let death = self.dice.one_of(&[Death::Powerless, Death::Killed]);
                world.send_away(target, death, away);
                self.undo.push((world.now + away, Undo::Return(target)));
            }
            Mischief::BadWeather => {
                world.network.set_weather(Weather {
                    lost: self.dice.below(30),
                    twice: self.dice.below(40),
                    delay: self.dice.between(2, 120),
                });
                self.later(world, 300, Undo::Weather);
            }
            Mischief::SlowDisk | Mischief::FailingDisk | Mischief::FullDisk => {
                self.spoil(world, mischief, target);
            }
            Mischief::HandOver | Mischief::Admit | Mischief::Dismiss => {
                self.order(world, mischief, target);
            }
            Mischief::ClockJump => {
                if let Some(member) = world.members.get(&target) {
                    let hours = self.dice.below(3) * HOUR;
                    member
                        .clock
                        .store(hours, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
    }

    fn later(&mut self, world: &World, most: u64, undo: Undo) {
        let at = world.now + self.dice.between(10, most);
        self.undo.push((at, undo));
    }

    fn cut(&mut self, world: &mut World, mischief: Mischief, target: u64) {
        let all: Vec<u64> = world.members.keys().copied().collect();
        let half: Vec<u64> = match mischief {
            Mischief::Pair => {
                let leader = world.leader().map_or(target, |(leader, _)| leader);
                vec![leader, self.dice.one_of(&all)]
            }
            _ => {
                let all = all.iter().copied();
                all.filter(|_| self.dice.percent(50)).collect()
            }
        };
        let outgoing = self.dice.percent(50);
        for one in &all {
            for other in &all {
                let is_cut = match mischief {
                    Mischief::Isolate => (*one == target) != (*other == target),
                    Mischief::OneWay if outgoing => *one == target,
                    Mischief::OneWay => *other == target,
                    _ => half.contains(one) != half.contains(other),
                };
                if is_cut {
                    world.network.cut(*one, *other);
                }
            }
        }
    }

    fn spoil(&mut self, world: &mut World, mischief: Mischief, target: u64) {
        let Some(member) = world.members.get_mut(&target) else {
            return;
        };
        match mischief {
            Mischief::SlowDisk => member.set_slow(true),
            Mischief::FullDisk => member.set_trouble(Trouble::Full),
            _ => member.set_trouble(Trouble::Failing(self.dice.between(2, 60))),
        }
        self.later(world, 200, Undo::Disk(target));
    }

    /// What an operator orders of the leader.
    fn order(&mut self, world: &mut World, mischief: Mischief, target: u64) {
        let Some((leader, members)) = world.leader() else {
            return;
        };
        if mischief == Mischief::Admit {
            if members.len() > 4 {
                return;
            }
            self.newest += 1;
            world.add(self.newest);
        }
        let Some(store) = world.members[&leader].store().cloned() else {
            return;
        };
        let (newest, admitted) = (self.newest, world.admitted.clone());
        world.members[&leader].spawn(async move {
            match mischief {
                Mischief::Admit => {
                    if store.admit(&member(newest)).await.is_ok() {
                        admitted.lock().expect("no holder panics").push(newest);
                    }
                }
                Mischief::Dismiss if members.len() > 2 => drop(store.dismiss(target).await),
                Mischief::Dismiss => {}
                _ => drop(store.hand_over().await),
            }
        });
    }

    fn undo_one(&mut self, world: &mut World, undo: Undo) {
        match undo {
            Undo::Cuts => world.network.heal(),
            Undo::Return(raft_id) => {
                world.network.heal();
                let death = self.dice.one_of(&[Death::Powerless, Death::Killed]);
                calls::doom(raft_id, self.dice.between(1, 30), death);
            }
            Undo::Weather => world.network.set_weather(Weather::FAIR),
            Undo::Disk(raft_id) => {
                if let Some(member) = world.members.get_mut(&raft_id) {
                    member.set_slow(false);
                    member.set_trouble(Trouble::None);
                }
            }
        }
    }
}
