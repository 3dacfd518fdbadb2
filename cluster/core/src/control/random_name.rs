//! Names for services that were given none: `adjective_surname`.

use crate::plan::Ids;
use crate::state::State;
use swarmrs_types::RawId;

/// Names tried before a conflict is left to be one.
const MOST_DRAWS: usize = 20;

const ADJECTIVES: [&str; 48] = [
    "able", "airy", "amber", "avid", "bold", "brisk", "calm", "candid", "civil", "clear", "cosy",
    "crisp", "dapper", "deft", "earnest", "easy", "fair", "fleet", "fond", "frank", "gentle",
    "glad", "grand", "handy", "hardy", "hearty", "jolly", "keen", "kind", "lively", "lucid",
    "mellow", "merry", "modest", "neat", "nimble", "noble", "patient", "plucky", "polite", "proud",
    "quick", "quiet", "steady", "sunny", "tidy", "vivid", "witty",
];

/// People who found out how things can be agreed on, sent, computed or kept apart.
const SURNAMES: [&str; 48] = [
    "abbe",
    "ampere",
    "babbage",
    "bartik",
    "boole",
    "bose",
    "cerf",
    "chandra",
    "church",
    "clarke",
    "codd",
    "curie",
    "dijkstra",
    "erlang",
    "euler",
    "faraday",
    "floyd",
    "gauss",
    "germain",
    "goldberg",
    "gray",
    "hamming",
    "henry",
    "hertz",
    "hoare",
    "holberton",
    "huffman",
    "kay",
    "kilby",
    "lamport",
    "liskov",
    "lynch",
    "maxwell",
    "milner",
    "moore",
    "naur",
    "noether",
    "ohm",
    "perlman",
    "postel",
    "ritchie",
    "shannon",
    "sinclair",
    "tarjan",
    "thompson",
    "turing",
    "wirth",
    "zuse",
];

/// A name no service has, unless the draws run out first: then the conflict is told as such.
pub(super) fn draw(state: &State, ids: &mut dyn Ids) -> String {
    let mut name = of(ids.next());
    for _ in 1..MOST_DRAWS {
        if state.service_named(&name).is_none() {
            break;
        }
        name = of(ids.next());
    }
    name
}

/// The name an id stands for.
fn of(id: RawId) -> String {
    let digits = id.as_str().bytes();
    let number = digits.fold(0u64, |number, digit| {
        number.wrapping_mul(31).wrapping_add(u64::from(digit))
    });
    let adjective = ADJECTIVES[(number % 48) as usize];
    let surname = SURNAMES[(number / 48 % 48) as usize];
    format!("{adjective}_{surname}")
}
