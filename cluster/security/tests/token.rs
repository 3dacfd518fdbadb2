//! Join tokens, as users and joining nodes meet them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use proptest::prelude::*;
use std::time::SystemTime;
use swarmrs_security::{Error, JoinToken, RootCa, RootCert, RootDigest};

fn root() -> RootCert {
    RootCa::create(SystemTime::now()).unwrap().cert().clone()
}

#[test]
fn a_minted_token_has_dockers_shape_and_reads_back() {
    let root = root();
    let token = JoinToken::mint(&root).unwrap();
    let lengths: Vec<usize> = token.as_str().split('-').map(str::len).collect();
    assert_eq!(lengths, [6, 1, 50, 25]);
    let read = JoinToken::parse(token.as_str()).unwrap();
    assert_eq!(read.as_str(), token.as_str());
    assert_eq!(read.digest(), root.digest());
}

#[test]
fn two_tokens_of_one_cluster_share_the_digest_and_not_the_secret() {
    let root = root();
    let worker = JoinToken::mint(&root).unwrap();
    let manager = JoinToken::mint(&root).unwrap();
    assert_eq!(worker.digest(), manager.digest());
    assert!(!worker.matches(manager.as_str()));
    assert!(worker.matches(worker.as_str()));
}

#[test]
fn a_prefix_of_a_token_does_not_match_it() {
    let token = JoinToken::mint(&root()).unwrap();
    assert!(!token.matches(&token.as_str()[..token.as_str().len() - 1]));
    assert!(!token.matches(""));
}

#[test]
fn the_digest_is_sha256_of_the_pem_bytes_shown_as_hex() {
    assert_eq!(
        RootDigest::of(b"abc").to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    let root = root();
    assert_eq!(root.digest(), RootDigest::of(root.pem().as_bytes()));
}

#[test]
fn what_is_not_a_token_is_refused() {
    let digest = "1".repeat(50);
    let secret = "s".repeat(25);
    for text in [
        String::new(),
        "SWMTKN".into(),
        format!("SWMTKN-1-{digest}"),
        format!("SWMTKN-3-{digest}-{secret}"),
        format!("SWMTKN-2-0-{digest}-{secret}"),
        format!("swmtkn-1-{digest}-{secret}"),
        format!("SWMTKN-1-{digest}-{secret}-"),
        format!(" SWMTKN-1-{digest}-{secret}"),
        format!("SWMTKN-1-{digest}-{secret}\n"),
        format!("SWMTKN-1-{}-{secret}", "z".repeat(50)),
        format!("SWMTKN-1-+{}-{secret}", "1".repeat(49)),
        format!("SWMTKN-1-{}-{secret}", "A".repeat(50)),
        format!("SWMTKN-1-{}-{secret}", "1".repeat(49)),
        format!("SWMTKN-1-{digest}-{}", "s".repeat(24)),
    ] {
        let refusal = JoinToken::parse(&text);
        assert!(matches!(refusal, Err(Error::InvalidToken)), "{text:?}");
    }
}

#[test]
fn a_fips_token_is_refused_as_such() {
    let token = format!("SWMTKN-2-1-{}-{}", "1".repeat(50), "s".repeat(25));
    assert!(matches!(JoinToken::parse(&token), Err(Error::FipsToken)));
}

#[test]
fn debug_output_hides_the_secret() {
    let token = JoinToken::mint(&root()).unwrap();
    let secret = token.as_str().rsplit('-').next().unwrap();
    assert!(!format!("{token:?}").contains(secret));
}

proptest! {
    #[test]
    fn any_text_is_read_unchanged_or_refused(text in "(SWMTKN-[12]-)?[-0-9a-zé]{0,90}") {
        if let Ok(token) = JoinToken::parse(&text) {
            prop_assert_eq!(token.as_str(), text);
        }
    }

    #[test]
    fn every_small_digest_with_any_secret_is_a_token(
        digest in "0[0-9a-z]{49}", secret in "[!-,.-~]{25}",
    ) {
        let text = format!("SWMTKN-1-{digest}-{secret}");
        prop_assert!(JoinToken::parse(&text).unwrap().matches(&text));
    }
}
