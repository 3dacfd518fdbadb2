//! Image references: `[domain/]path[:tag][@digest]`.
//!
//! A reference is kept in full; short names are read as Docker reads them: no domain means
//! `docker.io`, and there no namespace means `library/`. Rules and error texts are those of
//! `distribution/reference`.

use std::fmt;
use std::str::FromStr;

const DEFAULT_DOMAIN: &str = "docker.io";
/// The older spelling of [`DEFAULT_DOMAIN`].
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_NAMESPACE: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// Longest path in bytes.
const MAX_PATH: usize = 255;
/// Longest tag in bytes.
const MAX_TAG: usize = 128;
/// Hexadecimal digits of an image's id.
const ID_LEN: usize = 64;
/// Shortest checksum that the grammar takes for one.
const MIN_CHECKSUM: usize = 32;
/// Digest algorithms and the length of their checksums in hexadecimal digits.
const ALGORITHMS: &[(&str, usize)] = &[("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// A named image, perhaps with a tag, a digest or both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text names no image; displays as Docker says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    #[error("repository name must not be more than {MAX_PATH} characters")]
    TooLong,
    /// The name could be mistaken for an image's id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Id(String),
    #[error("unsupported digest algorithm")]
    Algorithm,
    #[error("invalid checksum digest length")]
    ChecksumLength,
    #[error("invalid checksum digest format")]
    Checksum,
}

impl Reference {
    /// Reads a reference as a user writes it, short or in full.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        if is_lower_hex(text) && text.len() == ID_LEN {
            return Err(InvalidReference::Id(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let bare = rest.split(':').next().unwrap_or_default();
        if bare.to_lowercase() != bare {
            return Err(InvalidReference::Uppercase(bare.to_owned()));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (rest.as_str(), None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        let (domain, path) = checked_name(domain, path)?;
        if !tag.as_deref().is_none_or(is_tag) || !digest.as_deref().is_none_or(is_digest) {
            return Err(InvalidReference::Format);
        }
        if path.len() > MAX_PATH {
            return Err(InvalidReference::TooLong);
        }
        if let Some(digest) = &digest {
            check_checksum(digest)?;
        }
        Ok(Reference {
            domain,
            path,
            tag,
            digest,
        })
    }

    /// The registry: `docker.io`, `localhost:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in its registry: `library/nginx`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest with its algorithm: `sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The short form that Docker shows: without `docker.io/` and `library/`.
    pub fn familiar(&self) -> String {
        let mut name = String::new();
        if self.domain == DEFAULT_DOMAIN {
            let official = self.path.strip_prefix(OFFICIAL_NAMESPACE);
            let short = official.filter(|rest| !rest.contains('/'));
            name.push_str(short.unwrap_or(&self.path));
        } else {
            name.push_str(&self.name());
        }
        name + &self.suffix()
    }

    /// The full form: domain, path, and the tag and digest that were written.
    pub fn canonical(&self) -> String {
        self.name() + &self.suffix()
    }

    /// With tag `latest` if neither tag nor digest was written.
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    fn name(&self) -> String {
        if self.domain.is_empty() {
            self.path.clone()
        } else {
            format!("{}/{}", self.domain, self.path)
        }
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        let digest = self.digest.iter().map(|digest| format!("@{digest}"));
        tag.chain(digest).collect()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        Reference::parse(text)
    }
}

/// Whether the text is an image's id: 64 hexadecimal digits, perhaps after `sha256:`.
pub fn is_image_id(text: &str) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    digits.len() == ID_LEN && is_lower_hex(digits)
}

/// The domain and the rest. What stands before the first slash is a domain if it looks like one: a
/// dot, a port, `localhost`, or upper case, which no namespace may have.
fn split_domain(text: &str) -> (&str, String) {
    let (domain, rest) = match text.split_once('/') {
        Some((LEGACY_DEFAULT_DOMAIN, rest)) => (DEFAULT_DOMAIN, rest),
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        (domain, format!("{OFFICIAL_NAMESPACE}{rest}"))
    } else {
        (domain, rest.to_owned())
    }
}

fn looks_like_domain(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.to_lowercase() != first
}

/// Domain and path if both are well formed. A first part that is no domain (`foo_bar.com`) but can
/// be part of a path is one: the reference then has no domain, as in Docker.
fn checked_name(domain: &str, path: &str) -> Result<(String, String), InvalidReference> {
    if !is_path(path) {
        return Err(InvalidReference::Format);
    }
    if is_domain(domain) {
        Ok((domain.to_owned(), path.to_owned()))
    } else if is_path(domain) {
        Ok((String::new(), format!("{domain}/{path}")))
    } else {
        Err(InvalidReference::Format)
    }
}

/// A host name, IPv4 address or bracketed IPv6 address, perhaps with a port.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => {
            let fits = |c: char| c.is_ascii_hexdigit() || c == ':';
            !address.is_empty() && address.chars().all(fits)
        }
        None => host.split('.').all(is_domain_component),
    };
    host_fits && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

fn is_domain_component(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.chars().all(fits) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Lower-case words joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joint_fits =
        |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.chars().all(|c| c == '-');
    text.starts_with(is_word) && text.ends_with(is_word) && text.split(is_word).all(joint_fits)
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

/// `algorithm:checksum`, any algorithm, hexadecimal in either case.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, checksum)) = text.split_once(':') else {
        return false;
    };
    let part_fits = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(part_fits)
        && checksum.len() >= MIN_CHECKSUM
        && checksum.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A well-formed digest must be of a known algorithm, of its length, in lower case.
fn check_checksum(digest: &str) -> Result<(), InvalidReference> {
    let (algorithm, checksum) = digest.split_once(':').unwrap_or((digest, ""));
    let known = ALGORITHMS.iter().find(|row| row.0 == algorithm);
    match known {
        None => Err(InvalidReference::Algorithm),
        Some((_, len)) if checksum.len() != *len => Err(InvalidReference::ChecksumLength),
        Some(_) if !is_lower_hex(checksum) => Err(InvalidReference::Checksum),
        Some(_) => Ok(()),
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What `distribution/reference` 0.6 makes of a text: full form, familiar form, full form with
    /// the default tag; or its error. `<n*c>` stands for n times the character c.
    #[rustfmt::skip]
    const TABLE: &[(&str, &str, &str, &str)] = &[
        ("", "", "", "invalid reference format"),
        ("nginx", "docker.io/library/nginx", "nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25", "nginx:1.25", "docker.io/library/nginx:1.25"),
        ("library/nginx", "docker.io/library/nginx", "nginx", "docker.io/library/nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx", "nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx:x", "docker.io/library/nginx:x", "nginx:x", "docker.io/library/nginx:x"),
        ("index.docker.io/nginx", "docker.io/library/nginx", "nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/a/b", "docker.io/a/b", "a/b", "docker.io/a/b:latest"),
        ("me/app", "docker.io/me/app", "me/app", "docker.io/me/app:latest"),
        ("localhost/app", "localhost/app", "localhost/app", "localhost/app:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000", "docker.io/library/localhost:5000"),
        ("localhost:5000/app", "localhost:5000/app", "localhost:5000/app", "localhost:5000/app:latest"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("reg.example.com/a/b/c:1", "reg.example.com/a/b/c:1", "reg.example.com/a/b/c:1", "reg.example.com/a/b/c:1"),
        ("reg:5000/x", "reg:5000/x", "reg:5000/x", "reg:5000/x:latest"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app:latest"),
        ("[::1]/app", "[::1]/app", "[::1]/app", "[::1]/app:latest"),
        ("1.2.3.4/x", "1.2.3.4/x", "1.2.3.4/x", "1.2.3.4/x:latest"),
        ("a/b/c", "docker.io/a/b/c", "a/b/c", "docker.io/a/b/c:latest"),
        ("Upper", "", "", "invalid reference format: repository name (library/Upper) must be lowercase"),
        ("Upper/app", "Upper/app", "Upper/app", "Upper/app:latest"),
        ("me/App", "", "", "invalid reference format: repository name (me/App) must be lowercase"),
        ("reg.io/App", "", "", "invalid reference format: repository name (App) must be lowercase"),
        ("docker.io/App", "", "", "invalid reference format: repository name (library/App) must be lowercase"),
        ("a--b", "docker.io/library/a--b", "a--b", "docker.io/library/a--b:latest"),
        ("a__b", "docker.io/library/a__b", "a__b", "docker.io/library/a__b:latest"),
        ("a___b", "", "", "invalid reference format"),
        ("a..b", "", "", "invalid reference format"),
        ("a.-b", "", "", "invalid reference format"),
        ("-a", "", "", "invalid reference format"),
        ("a-", "", "", "invalid reference format"),
        ("a_", "", "", "invalid reference format"),
        ("a:", "", "", "invalid reference format"),
        ("a:-x", "", "", "invalid reference format"),
        ("a:.x", "", "", "invalid reference format"),
        ("a:_x", "docker.io/library/a:_x", "a:_x", "docker.io/library/a:_x"),
        ("a:<128*t>", "docker.io/library/a:<128*t>", "a:<128*t>", "docker.io/library/a:<128*t>"),
        ("a:<129*t>", "", "", "invalid reference format"),
        ("a@sha256:<64*a>", "docker.io/library/a@sha256:<64*a>", "a@sha256:<64*a>", "docker.io/library/a@sha256:<64*a>"),
        ("a:1@sha256:<64*a>", "docker.io/library/a:1@sha256:<64*a>", "a:1@sha256:<64*a>", "docker.io/library/a:1@sha256:<64*a>"),
        ("a@sha256:<64*A>", "", "", "invalid checksum digest format"),
        ("a@sha256:<63*a>", "", "", "invalid checksum digest length"),
        ("a@md5:<32*a>", "", "", "unsupported digest algorithm"),
        ("a@sha512:<128*a>", "docker.io/library/a@sha512:<128*a>", "a@sha512:<128*a>", "docker.io/library/a@sha512:<128*a>"),
        ("a@sha384:<96*a>", "docker.io/library/a@sha384:<96*a>", "a@sha384:<96*a>", "docker.io/library/a@sha384:<96*a>"),
        ("a@sha256", "", "", "invalid reference format"),
        ("a@", "", "", "invalid reference format"),
        ("a@sha256:", "", "", "invalid reference format"),
        ("<64*a>", "", "", "invalid repository name (<64*a>), cannot specify 64-byte hexadecimal strings"),
        ("<63*a>", "docker.io/library/<63*a>", "<63*a>", "docker.io/library/<63*a>:latest"),
        ("<64*a>:x", "docker.io/library/<64*a>:x", "<64*a>:x", "docker.io/library/<64*a>:x"),
        ("sha256:<64*a>", "docker.io/library/sha256:<64*a>", "sha256:<64*a>", "docker.io/library/sha256:<64*a>"),
        ("x/<64*a>", "docker.io/x/<64*a>", "x/<64*a>", "docker.io/x/<64*a>:latest"),
        ("a b", "", "", "invalid reference format"),
        ("a//b", "", "", "invalid reference format"),
        ("/a", "", "", "invalid reference format"),
        ("a/", "", "", "invalid reference format"),
        ("http://a/b", "", "", "invalid reference format"),
        ("foo_bar.com/baz", "foo_bar.com/baz", "foo_bar.com/baz", "foo_bar.com/baz:latest"),
        ("foo_bar.com:80/baz", "", "", "invalid reference format"),
        ("-foo.com/baz", "", "", "invalid reference format"),
        ("foo-.com/baz", "", "", "invalid reference format"),
        ("foo.com:/baz", "", "", "invalid reference format"),
        ("foo.com:x/baz", "", "", "invalid reference format"),
        ("foo..com/baz", "", "", "invalid reference format"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b", "docker.io/library/a/b:latest"),
        ("library/a/b", "docker.io/library/a/b", "library/a/b", "docker.io/library/a/b:latest"),
        ("docker.io/a:1:2", "", "", "invalid reference format"),
        ("a:1/b", "a:1/b", "a:1/b", "a:1/b:latest"),
        ("Foo/bar:Tag", "Foo/bar:Tag", "Foo/bar:Tag", "Foo/bar:Tag"),
        ("a:TAG", "docker.io/library/a:TAG", "a:TAG", "docker.io/library/a:TAG"),
        ("é", "", "", "invalid reference format"),
        ("aé", "", "", "invalid reference format"),
        ("reg.io/<255*a>", "reg.io/<255*a>", "reg.io/<255*a>", "reg.io/<255*a>:latest"),
        ("reg.io/<256*a>", "", "", "repository name must not be more than 255 characters"),
        ("<247*a>", "docker.io/library/<247*a>", "<247*a>", "docker.io/library/<247*a>:latest"),
        ("<248*a>", "", "", "repository name must not be more than 255 characters"),
        ("LOCALHOST/x", "LOCALHOST/x", "LOCALHOST/x", "LOCALHOST/x:latest"),
        ("reg.io:5000", "docker.io/library/reg.io:5000", "reg.io:5000", "docker.io/library/reg.io:5000"),
        ("a@sha256:<64*a>@sha256:<64*a>", "", "", "invalid reference format"),
        ("docker.io/", "", "", "invalid reference format"),
        ("docker.io", "docker.io/library/docker.io", "docker.io", "docker.io/library/docker.io:latest"),
        ("index.docker.io/library/x", "docker.io/library/x", "x", "docker.io/library/x:latest"),
    ];

    fn long(text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            let (run, after) = after.split_once('>').unwrap();
            let (count, unit) = run.split_once('*').unwrap();
            out += before;
            out += &unit.repeat(count.parse().unwrap());
            rest = after;
        }
        out + rest
    }

    #[test]
    fn every_text_is_read_as_docker_reads_it() {
        for (text, full, familiar, tagged) in TABLE {
            match Reference::parse(&long(text)) {
                Ok(found) => {
                    assert_eq!(found.canonical(), long(full), "{text}");
                    assert_eq!(found.familiar(), long(familiar), "{text}");
                    assert_eq!(found.with_default_tag().to_string(), long(tagged), "{text}");
                }
                Err(error) => {
                    assert_eq!(("", error.to_string()), (*full, long(tagged)), "{text}");
                }
            }
        }
    }

    #[test]
    fn the_parts_are_told_apart() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        let text = format!("localhost:5000/a/b:v1@{digest}");
        let found: Reference = text.parse().unwrap();
        assert_eq!(found.domain(), "localhost:5000");
        assert_eq!(found.path(), "a/b");
        assert_eq!(found.tag(), Some("v1"));
        assert_eq!(found.digest(), Some(digest.as_str()));
        let plain = Reference::parse("nginx").unwrap();
        assert_eq!(
            (plain.domain(), plain.path()),
            ("docker.io", "library/nginx")
        );
        assert_eq!((plain.tag(), plain.digest()), (None, None));
    }

    #[test]
    fn an_image_id_is_sixty_four_lower_hexadecimal_digits() {
        let id = "0123456789abcdef".repeat(4);
        assert!(is_image_id(&id));
        assert!(is_image_id(&format!("sha256:{id}")));
        for text in [
            &id[1..],
            &id.to_uppercase(),
            &format!("sha512:{id}"),
            "",
            "nginx",
        ] {
            assert!(!is_image_id(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(
            text in "([a-zA-Z0-9.-]{1,6}(:[0-9]{1,3})?/)?[a-z0-9]{1,3}([._/-]{1,2}[a-z0-9]{1,3}){0,3}\
                     (:[a-zA-Z0-9_.-]{1,5})?(@sha256:[0-9a-f]{64})?",
        ) {
            if let Ok(found) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&found.to_string()), Ok(found.clone()));
                let tagged = found.with_default_tag();
                prop_assert!(tagged.tag().is_some() || tagged.digest().is_some());
                prop_assert_eq!(Reference::parse(&tagged.to_string()), Ok(tagged));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Reference::parse(&text);
        }
    }
}
