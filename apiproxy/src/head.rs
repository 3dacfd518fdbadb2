//! Reads the head of a request or an answer: just what is needed to forward the rest without understanding it.
//!
//! A request's head is judged strictly. The engine will read the same bytes with another parser, so whatever two parsers
//! could read differently (two lengths, a length beside a coding, HTTP/2's preface) is refused before the engine sees it.

use http::{Method, StatusCode};

use crate::route::MAX_TARGET;
use crate::stream::Framing;

/// The largest head taken, in bytes: what the engine's own server takes.
pub(crate) const MAX_HEAD: usize = 1 << 20;
/// Headers parsed without an allocation.
const FEW_HEADERS: usize = 64;
/// Headers parsed at all.
const MANY_HEADERS: usize = 4096;

/// Why a head is refused, with the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("malformed HTTP request")]
    Malformed,
    #[error("the request target is longer than 65534 bytes")]
    TargetTooLong,
    #[error("the request header is larger than 1 MiB")]
    TooLarge,
    #[error("more than one Content-Length, or one beside a Transfer-Encoding")]
    AmbiguousLength,
    #[error("unsupported Transfer-Encoding: only chunked is understood")]
    UnsupportedCoding,
}

impl HeadError {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::AmbiguousLength => StatusCode::BAD_REQUEST,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UnsupportedCoding => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

/// A request's head, as far as a proxy must know it.
#[derive(Debug, Clone)]
pub(crate) struct RequestHead {
    /// Bytes from the method to the empty line.
    pub len: usize,
    pub method: Method,
    pub target: String,
    pub framing: Framing,
    /// Whether the client may send another request on this connection.
    pub keep_alive: bool,
    /// Whether another protocol is asked for.
    pub upgrade: bool,
    /// Whether that is cleartext HTTP/2.
    pub http2: bool,
}

/// An answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub len: usize,
    pub status: u16,
    pub framing: Framing,
    pub keep_alive: bool,
}

/// Headers that decide about framing and connection.
#[derive(Default)]
struct Facts<'a> {
    lengths: Vec<&'a [u8]>,
    codings: Vec<&'a [u8]>,
    close: bool,
    keep: bool,
    upgrade: bool,
    http2: bool,
}

impl<'a> Facts<'a> {
    fn of(headers: &[httparse::Header<'a>]) -> Self {
        let mut facts = Self::default();
        for header in headers {
            facts.note(header);
        }
        facts
    }

    fn note(&mut self, header: &httparse::Header<'a>) {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            self.lengths.push(header.value.trim_ascii());
        } else if is("transfer-encoding") {
            self.codings.push(header.value.trim_ascii());
        } else if is("connection") {
            self.close |= names(header.value, b"close");
            self.keep |= names(header.value, b"keep-alive");
        } else if is("upgrade") {
            self.upgrade = true;
            self.http2 |= names(header.value, b"h2c");
        }
    }

    fn keep_alive(&self, minor: u8) -> bool {
        !self.close && (minor >= 1 || self.keep)
    }

    fn request_framing(&self, minor: u8) -> Result<Framing, HeadError> {
        match (self.lengths.as_slice(), self.codings.as_slice()) {
            ([], []) => Ok(Framing::NONE),
            ([length], []) => length_of(length).ok_or(HeadError::AmbiguousLength),
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && minor >= 1 => {
                Ok(Framing::CHUNKED)
            }
            ([], _) => Err(HeadError::UnsupportedCoding),
            _ => Err(HeadError::AmbiguousLength),
        }
    }
}

/// Whether a comma-separated header value has this token.
fn names(value: &[u8], token: &[u8]) -> bool {
    value
        .split(|b| *b == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// A decimal length; a sign, a list or an overflow is none.
fn length_of(text: &[u8]) -> Option<Framing> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok().map(Framing::Length)
}

/// Parses a request's head; `None` while it is not complete.
pub(crate) fn request(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let mut few = [httparse::EMPTY_HEADER; FEW_HEADERS];
    match request_with(bytes, &mut few) {
        Err(HeadError::TooLarge) => {
            let mut many = vec![httparse::EMPTY_HEADER; MANY_HEADERS];
            request_with(bytes, &mut many)
        }
        parsed => parsed,
    }
}

fn request_with<'a>(
    bytes: &'a [u8],
    headers: &mut [httparse::Header<'a>],
) -> Result<Option<RequestHead>, HeadError> {
    let mut parsed = httparse::Request::new(headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return incomplete(bytes),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Malformed),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(HeadError::Malformed);
    };
    if has_bare_line_feed(&bytes[..len]) {
        return Err(HeadError::Malformed);
    }
    if target.len() > MAX_TARGET {
        return Err(HeadError::TargetTooLong);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| HeadError::Malformed)?;
    if method == Method::CONNECT {
        return Err(HeadError::Malformed);
    }
    let facts = Facts::of(parsed.headers);
    Ok(Some(RequestHead {
        len,
        method,
        target: target.to_owned(),
        framing: facts.request_framing(minor)?,
        keep_alive: facts.keep_alive(minor),
        upgrade: facts.upgrade,
        http2: facts.http2,
    }))
}

/// The parser takes a line feed alone for a line's end; a reader that does not would see another head.
fn has_bare_line_feed(head: &[u8]) -> bool {
    let mut before = 0;
    head.iter().any(|&byte| {
        let bare = byte == b'\n' && before != b'\r';
        before = byte;
        bare
    })
}

/// A head may be long, but not without end; a first line that does not end is a target's fault.
fn incomplete(bytes: &[u8]) -> Result<Option<RequestHead>, HeadError> {
    let first_line_ended = bytes.contains(&b'\n');
    match (bytes.len(), first_line_ended) {
        (len, _) if len <= MAX_TARGET => Ok(None),
        (len, true) if len <= MAX_HEAD => Ok(None),
        (_, true) => Err(HeadError::TooLarge),
        // A method and a version take a few bytes beside the longest target.
        (len, false) if len <= MAX_TARGET + 64 => Ok(None),
        (_, false) => Err(HeadError::TargetTooLong),
    }
}

/// Parses an answer's head; `None` while it is not complete. An error means that the engine does not speak HTTP.
pub(crate) fn response(bytes: &[u8], to: &Method) -> Result<Option<ResponseHead>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; 256];
    let mut parsed = httparse::Response::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() <= MAX_HEAD => return Ok(None),
        _ => return Err(HeadError::Malformed),
    };
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(HeadError::Malformed);
    };
    let facts = Facts::of(parsed.headers);
    Ok(Some(ResponseHead {
        len,
        status,
        framing: response_framing(&facts, status, to)?,
        keep_alive: facts.keep_alive(minor),
    }))
}

fn response_framing(facts: &Facts<'_>, status: u16, to: &Method) -> Result<Framing, HeadError> {
    let bodiless =
        *to == Method::HEAD || (status < 200 && status != 101) || status == 204 || status == 304;
    match (facts.lengths.first(), facts.codings.first()) {
        _ if bodiless => Ok(Framing::NONE),
        _ if status == 101 => Ok(Framing::UntilClose),
        (_, Some(_)) => Ok(Framing::CHUNKED),
        (Some(length), None) => length_of(length).ok_or(HeadError::Malformed),
        (None, None) => Ok(Framing::UntilClose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(head: &str) -> HeadError {
        request(head.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_body_with_two_possible_ends_is_refused() {
        for headers in [
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\ncontent-length: 6",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -1",
            "Content-Length: 0x5",
            "Content-Length:",
            "Content-Length: 99999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
        ] {
            let head = format!("POST /build HTTP/1.1\r\nHost: docker\r\n{headers}\r\n\r\n");
            assert_eq!(refused(&head), HeadError::AmbiguousLength, "{headers}");
        }
    }

    #[test]
    fn only_the_plain_chunked_coding_is_understood() {
        for coding in ["gzip, chunked", "xchunked", "chunked, identity", "identity"] {
            let head = format!("POST /build HTTP/1.1\r\nTransfer-Encoding: {coding}\r\n\r\n");
            assert_eq!(refused(&head), HeadError::UnsupportedCoding, "{coding}");
        }
        let old = "POST /build HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(refused(old), HeadError::UnsupportedCoding);
    }

    #[test]
    fn what_is_not_a_plain_http_1_request_is_malformed() {
        for head in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /info HTTP/3.0\r\n\r\n",
            "GET /info\r\n\r\n",
            "CONNECT engine:80 HTTP/1.1\r\n\r\n",
            "GET /info HTTP/1.1\r\nContent-Length : 5\r\n\r\n",
            "GET /info HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET /info HTTP/1.1\nHost: docker\r\n\r\n",
            "GET /info HTTP/1.1\r\nHost: docker\r\n\n",
        ] {
            assert_eq!(refused(head), HeadError::Malformed, "{head:?}");
        }
    }

    #[test]
    fn a_target_of_65534_bytes_passes_and_one_more_does_not() {
        let head = |len: usize| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(len - 1));
        assert!(request(head(MAX_TARGET).as_bytes()).unwrap().is_some());
        assert_eq!(refused(&head(MAX_TARGET + 1)), HeadError::TargetTooLong);
        assert_eq!(
            refused(&format!("GET /{}", "a".repeat(70_000))),
            HeadError::TargetTooLong
        );
    }

    #[test]
    fn many_headers_pass() {
        let headers: String = (0..1000).map(|n| format!("X-Meta-{n}: v\r\n")).collect();
        let head = format!("GET /info HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(request(head.as_bytes()).unwrap().unwrap().len, head.len());
    }

    #[test]
    fn an_answer_ends_where_its_status_method_and_headers_say() {
        let framing =
            |head: &str, to: Method| response(head.as_bytes(), &to).unwrap().unwrap().framing;
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(framing(length, Method::GET), Framing::Length(3));
        assert_eq!(framing(length, Method::HEAD), Framing::NONE);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(framing(chunked, Method::GET), Framing::CHUNKED);
        assert_eq!(
            framing("HTTP/1.1 204 No Content\r\n\r\n", Method::GET),
            Framing::NONE
        );
        assert_eq!(
            framing("HTTP/1.1 100 Continue\r\n\r\n", Method::PUT),
            Framing::NONE
        );
        assert_eq!(
            framing("HTTP/1.1 101 UPGRADED\r\n\r\n", Method::POST),
            Framing::UntilClose
        );
        assert_eq!(
            framing("HTTP/1.1 200 OK\r\n\r\n", Method::POST),
            Framing::UntilClose
        );
    }
}
