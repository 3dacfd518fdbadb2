//! The sum that a JSON object on disk carries of itself, so that a byte which the disk changed is noticed and not believed.
//!
//! It is the object's last field, and it is taken over the bytes as they would be without it. So releases that know nothing
//! of it read past it, and what a newer release writes beside the fields of today is summed too.

use sha2::{Digest, Sha256};

/// How the sum stands at the end, in an object on one line and in one that is laid out: before it, and after it.
const PLACES: [(&[u8], &[u8]); 2] = [(b",\n  \"sum\": \"", b"\"\n}"), (b",\"sum\":\"", b"\"}")];

/// Of SHA-256 in hexadecimal.
const DIGITS: usize = 64;

/// The object with its sum. It has a field, and `serde_json` wrote it.
#[must_use]
pub fn with_sum(object: &[u8]) -> Vec<u8> {
    for (before, after) in PLACES {
        // Its last byte closes the sum; what follows that closes the object.
        if let Some(fields) = object.strip_suffix(&after[1..]) {
            return [fields, before, sum(object).as_bytes(), after].concat();
        }
    }
    object.to_vec()
}

/// Whether these bytes are what was written. An object without a sum is: earlier releases wrote none.
#[must_use]
pub fn is_whole(object: &[u8]) -> bool {
    let mut sums = PLACES.iter().filter_map(|place| split(object, place));
    sums.all(|(summed, found)| sum(&summed).as_bytes() == found)
}

/// An object without its sum, and that.
fn split<'a>(object: &'a [u8], (before, after): &(&[u8], &[u8])) -> Option<(Vec<u8>, &'a [u8])> {
    let (fields, found) = object.strip_suffix(*after)?.split_last_chunk::<DIGITS>()?;
    Some(([fields.strip_suffix(*before)?, &after[1..]].concat(), found))
}

fn sum(object: &[u8]) -> String {
    let digest = Sha256::digest(object);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn objects() -> [Vec<u8>; 2] {
        let object = json!({"a": 1, "b": {"c": [2]}});
        [
            serde_json::to_vec(&object).unwrap(),
            serde_json::to_vec_pretty(&object).unwrap(),
        ]
    }

    #[test]
    fn the_sum_is_one_more_field() {
        let [line, laid_out] = objects();
        assert_eq!(
            String::from_utf8(with_sum(&line)).unwrap(),
            r#"{"a":1,"b":{"c":[2]},"sum":"f330782f060bba0185c146c8d927258f6f2e18f2f6e4ffd23e86c03b930eb713"}"#
        );
        assert_eq!(
            String::from_utf8(with_sum(&laid_out)).unwrap(),
            "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [\n      2\n    ]\n  },\n  \"sum\": \"2be6f72b955309eee00b41131b48a70e231b02ddf4062d2639cb36121d67c832\"\n}"
        );
    }

    #[test]
    fn what_carries_no_sum_is_taken_as_it_is() {
        for object in objects() {
            assert!(is_whole(&object));
        }
    }

    #[test]
    fn no_changed_byte_makes_another_object_of_it() {
        for object in objects() {
            let written = with_sum(&object);
            assert!(is_whole(&written));
            let before: Value = serde_json::from_slice(&object).unwrap();
            for (at, bit) in (0..written.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut changed = written.clone();
                changed[at] ^= 1 << bit;
                let read = serde_json::from_slice::<Value>(&changed);
                if let (true, Ok(read)) = (is_whole(&changed), read) {
                    let same = read["a"] == before["a"] && read["b"] == before["b"];
                    assert!(same, "bit {bit} of byte {at}: {read}");
                }
            }
        }
    }
}
