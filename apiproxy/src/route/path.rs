//! A request target becomes decoded, cleaned path segments, read as the engine's own HTTP library reads it.
//!
//! That library (Go's `net/url`) takes origin form and absolute form, decodes every percent escape once, and only then
//! splits at slashes. Reading it in another order would open a gap between what we judge and what the engine does.

use http::Method;

/// The longest target that is taken, in bytes: what `http::Uri` can hold.
pub const MAX_TARGET: usize = 65_534;

/// Why a target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Longer than [`MAX_TARGET`].
    #[error("the request target is longer than 65534 bytes")]
    TooLong,
    /// Neither an absolute path nor a URL with one.
    #[error("the request target is not an absolute path")]
    NotAPath,
    /// A percent sign without two hexadecimal digits.
    #[error("the request path has an invalid percent escape")]
    InvalidEscape,
    /// A control byte, plain or escaped, or a fragment.
    #[error("the request path has a control byte or a fragment")]
    ControlByte,
    /// An escaped slash in a path that is ours, or could be read as ours.
    #[error("the request path has an encoded slash")]
    EncodedSlash,
}

/// A target's path, understood.
pub(super) struct Path {
    /// Decoded segments, without empty ones, `.` and what `..` takes away.
    pub segments: Vec<String>,
    /// Whether any slash was written as an escape.
    pub encoded_slash: bool,
    /// Every decoded piece, before cleaning.
    pieces: Vec<String>,
}

impl Path {
    pub(super) fn parse(method: &Method, target: &str) -> Result<Self, RouteError> {
        if target.len() > MAX_TARGET {
            return Err(RouteError::TooLong);
        }
        if target.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(RouteError::ControlByte);
        }
        if method == Method::OPTIONS && target == "*" {
            return Ok(Self::empty());
        }
        let raw = path_of(target)?;
        let decoded = decode(raw)?;
        let pieces: Vec<String> = decoded.split('/').map(str::to_owned).collect();
        Ok(Self {
            segments: clean(&pieces),
            encoded_slash: raw.as_bytes().windows(3).any(is_escaped_slash),
            pieces,
        })
    }

    fn empty() -> Self {
        Self {
            segments: Vec::new(),
            encoded_slash: false,
            pieces: Vec::new(),
        }
    }

    /// Whether the path's shape depends on the order of decoding and cleaning, and one of its pieces is `wanted`.
    ///
    /// `/swarm/..%2Fimages` is `/images` to one router and below `/swarm` to another.
    pub(super) fn hides(&self, wanted: fn(&str) -> bool) -> bool {
        self.pieces.iter().any(|piece| piece == "..")
            && self.pieces.iter().any(|piece| wanted(piece))
    }
}

fn is_escaped_slash(window: &[u8]) -> bool {
    window.eq_ignore_ascii_case(b"%2f")
}

/// The path of an origin-form or absolute-form target, still escaped.
fn path_of(target: &str) -> Result<&str, RouteError> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if path.contains('#') {
        return Err(RouteError::ControlByte);
    }
    if path.starts_with('/') {
        return Ok(path);
    }
    let (scheme, rest) = path.split_once(':').ok_or(RouteError::NotAPath)?;
    if !is_scheme(scheme) {
        return Err(RouteError::NotAPath);
    }
    match rest.strip_prefix("//") {
        Some(rest) => Ok(rest.find('/').map_or("/", |at| &rest[at..])),
        None if rest.starts_with('/') => Ok(rest),
        None => Err(RouteError::NotAPath),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

/// Decodes each escape once. Bytes that are not UTF-8 become U+FFFD, which no name of ours contains.
fn decode(path: &str) -> Result<String, RouteError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return Err(RouteError::InvalidEscape);
        };
        let byte = hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l);
        let byte = byte.ok_or(RouteError::InvalidEscape)?;
        if byte.is_ascii_control() {
            return Err(RouteError::ControlByte);
        }
        decoded.push(byte);
        rest = tail;
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|d| u8::try_from(d).ok())
}

fn clean(pieces: &[String]) -> Vec<String> {
    let mut segments: Vec<String> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match piece.as_str() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name.to_owned()),
        }
    }
    segments
}
