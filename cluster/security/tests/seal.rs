//! Sealed bytes open with their key, unchanged, or not at all.

use proptest::prelude::*;
use swarmrs_security::seal::OVERHEAD;
use swarmrs_security::{DataKey, Error, Sealer};

fn sealer() -> Sealer {
    Sealer::new(&DataKey::from_bytes([7; 32]))
}

#[test]
fn sealing_twice_gives_different_bytes() {
    let sealer = sealer();
    assert_ne!(sealer.seal(b"x").unwrap(), sealer.seal(b"x").unwrap());
}

#[test]
fn another_key_opens_nothing() {
    let other = Sealer::new(&DataKey::generate().unwrap());
    let sealed = sealer().seal(b"canary").unwrap();
    assert!(matches!(other.open(&sealed), Err(Error::Unseal)));
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let mut sealed = sealer().seal(b"canary").unwrap();
    sealed[0] = 2;
    let refusal = sealer().open(&sealed).unwrap_err().to_string();
    assert_eq!(
        refusal,
        "sealed value has format 2, this release reads up to 1"
    );
}

#[test]
fn keys_and_sealers_hide_in_debug_output() {
    let key = DataKey::from_bytes([7; 32]);
    assert_eq!(format!("{key:?}"), "DataKey(secret)");
    assert_eq!(format!("{:?}", Sealer::new(&key)), "Sealer(secret)");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_unchanged(plain: Vec<u8>) {
        let sealed = sealer().seal(&plain).unwrap();
        prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
        prop_assert_eq!(sealer().open(&sealed).unwrap(), plain);
    }

    #[test]
    fn a_changed_bit_anywhere_is_noticed(plain: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
        let mut sealed = sealer().seal(&plain).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1u8 << bit;
        prop_assert!(sealer().open(&sealed).is_err());
    }

    #[test]
    fn a_cut_is_noticed(plain: Vec<u8>, at: prop::sample::Index) {
        let sealed = sealer().seal(&plain).unwrap();
        let cut = &sealed[..at.index(sealed.len())];
        prop_assert!(matches!(sealer().open(cut), Err(Error::Unseal)));
    }
}
