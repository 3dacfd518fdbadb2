//! Join tokens: what a new node must know to join.
//!
//! `SWMTKN-1-<digest>-<secret>`: the digest lets the node recognise the cluster's root, the secret
//! lets the cluster recognise the node and tells which role it may have. Both are numbers in base
//! 36, padded with zeros.

use crate::{Error, RootCert, RootDigest, random};
use num_bigint::BigUint;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Digits of a 32-byte digest in base 36.
const DIGEST_DIGITS: usize = 50;

/// Digits of a 16-byte secret in base 36.
const SECRET_DIGITS: usize = 25;

/// A well-formed join token.
#[derive(Clone)]
pub struct JoinToken {
    digest: RootDigest,
    text: Zeroizing<String>,
}

impl JoinToken {
    /// Makes a token with a new secret for the cluster of this root.
    pub fn mint(root: &RootCert) -> Result<Self, Error> {
        Ok(Self::compose(root.digest(), &*random::bytes()?))
    }

    /// Reads a token.
    ///
    /// Of the secret only the length is checked, as in swarmkit: whether it is right is for the
    /// cluster to say, and a wrong one gets the cluster's answer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('-').collect();
        let (digest, secret, fips) = match parts[..] {
            ["SWMTKN", "1", digest, secret] => (digest, secret, false),
            ["SWMTKN", "2", "1", digest, secret] => (digest, secret, true),
            _ => return Err(Error::InvalidToken),
        };
        let digest = parse_digest(digest).ok_or(Error::InvalidToken)?;
        if secret.len() != SECRET_DIGITS {
            return Err(Error::InvalidToken);
        }
        if fips {
            return Err(Error::FipsToken);
        }
        Ok(Self {
            digest,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// The digest of the root that a joining node must find.
    pub fn digest(&self) -> RootDigest {
        self.digest
    }

    /// The whole token. A secret.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `presented` is this token, in a time that does not tell how much of it is right.
    pub fn matches(&self, presented: &str) -> bool {
        self.text.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    fn compose(digest: RootDigest, secret: &[u8; 16]) -> Self {
        let secret = base36(secret, SECRET_DIGITS);
        let text = format!(
            "SWMTKN-1-{}-{}",
            *base36(digest.as_bytes(), DIGEST_DIGITS),
            *secret
        );
        Self {
            digest,
            text: Zeroizing::new(text),
        }
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({}, secret)", self.digest)
    }
}

fn base36(bytes: &[u8], digits: usize) -> Zeroizing<String> {
    let number = Zeroizing::new(BigUint::from_bytes_be(bytes).to_str_radix(36));
    Zeroizing::new(format!("{:0>digits$}", *number))
}

/// The digest, unless the text is not one of the right length or exceeds 32 bytes.
fn parse_digest(text: &str) -> Option<RootDigest> {
    // The number parser would also take signs, underscores and capitals: several spellings.
    let plain = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if text.len() != DIGEST_DIGITS || !text.bytes().all(plain) {
        return None;
    }
    let number = BigUint::parse_bytes(text.as_bytes(), 36)?.to_bytes_be();
    let mut bytes = [0; 32];
    let start = bytes.len().checked_sub(number.len())?;
    bytes[start..].copy_from_slice(&number);
    Some(RootDigest::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_known_bytes_has_dockers_text() {
        let token = JoinToken::compose(RootDigest::of(b"swarmrs"), &[0xff; 16]);
        assert_eq!(token.as_str(), GOLDEN_DIGEST_AND_FULL_SECRET);
        let token = JoinToken::compose(RootDigest::from_bytes([0; 32]), &[0; 16]);
        assert_eq!(
            token.as_str(),
            format!("SWMTKN-1-{}-{}", "0".repeat(50), "0".repeat(25))
        );
    }

    /// Computed with another big-number library.
    const GOLDEN_DIGEST_AND_FULL_SECRET: &str =
        "SWMTKN-1-4kxxrauy3qid1wfsl1233qo04epmfspumpqwzr4j5kyd8yx287-f5lxx1zz5pnorynqglhzmsp33";

    #[test]
    fn a_digest_above_32_bytes_is_no_digest() {
        let largest = base36(&[0xff; 32], DIGEST_DIGITS);
        assert_eq!(
            parse_digest(&largest),
            Some(RootDigest::from_bytes([0xff; 32]))
        );
        assert_eq!(parse_digest(&"z".repeat(50)), None);
    }
}
