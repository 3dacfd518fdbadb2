//! Unlock keys, as users read and type them.

use proptest::prelude::*;
use swarmrs_security::{Error, UnlockKey};

#[test]
fn a_key_of_known_bytes_has_dockers_text() {
    let bytes: [u8; 32] = std::array::from_fn(|at| at as u8);
    let text = "SWMKEY-1-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    assert_eq!(*UnlockKey::from_bytes(bytes).to_text(), text);
    assert_eq!(UnlockKey::parse(text).unwrap().as_bytes(), &bytes);
}

#[test]
fn minted_keys_differ_and_read_back() {
    let key = UnlockKey::mint().unwrap();
    assert_eq!(UnlockKey::parse(&key.to_text()).unwrap(), key);
    assert_ne!(UnlockKey::mint().unwrap(), key);
}

#[test]
fn what_is_not_a_key_string_is_refused() {
    let text = UnlockKey::from_bytes([0xff; 32]).to_text();
    for wrong in [
        String::new(),
        text.replace("-1-", "-2-"),
        text.to_lowercase(),
        format!("{}=", *text),
        format!("{} ", *text),
        format!(" {}", *text),
        text.replace('/', "_"),
    ] {
        let refusal = UnlockKey::parse(&wrong);
        assert!(matches!(refusal, Err(Error::InvalidUnlockKey)), "{wrong:?}");
    }
}

#[test]
fn a_key_of_another_length_is_told_apart_from_a_malformed_one() {
    for (text, length) in [("SWMKEY-1-", 0), ("SWMKEY-1-AAAA", 3)] {
        let refusal = UnlockKey::parse(text);
        assert!(
            matches!(refusal, Err(Error::UnlockKeyLength { found, expected: 32 }) if found == length)
        );
    }
}

#[test]
fn debug_output_hides_the_key() {
    assert_eq!(
        format!("{:?}", UnlockKey::from_bytes([1; 32])),
        "UnlockKey(secret)"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_unchanged_or_refused(text in "(SWMKEY-1-)?[A-Za-z0-9+/=]{40,44}") {
        if let Ok(key) = UnlockKey::parse(&text) {
            prop_assert_eq!(&*key.to_text(), &text);
        }
    }
}
