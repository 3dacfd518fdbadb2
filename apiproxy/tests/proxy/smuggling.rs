//! Requests that two readers could read differently: refused, and the engine sees no byte of them.

use crate::support::{Rig, rest, within};
use tokio::io::AsyncWriteExt;

/// What is wrong, and the request.
const REQUESTS: [(&str, &str); 41] = [
    (
        "two lengths",
        "POST /build HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ),
    (
        "the same length twice",
        "POST /build HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "a list of lengths",
        "POST /build HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\nhello",
    ),
    (
        "a signed length",
        "POST /build HTTP/1.1\r\nContent-Length: +5\r\n\r\nhello",
    ),
    (
        "a negative length",
        "POST /build HTTP/1.1\r\nContent-Length: -5\r\n\r\nhello",
    ),
    (
        "a hexadecimal length",
        "POST /build HTTP/1.1\r\nContent-Length: 0x5\r\n\r\nhello",
    ),
    (
        "no digits",
        "POST /build HTTP/1.1\r\nContent-Length:\r\n\r\n",
    ),
    (
        "digits apart",
        "POST /build HTTP/1.1\r\nContent-Length: 1 0\r\n\r\nhello",
    ),
    (
        "a length beside chunks",
        "POST /build HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks beside a length",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "a length beside any coding",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    ),
    (
        "a folded header",
        "POST /build HTTP/1.1\r\nX: a\r\n Content-Length: 5\r\n\r\nhello",
    ),
    (
        "a folded coding",
        "POST /build HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a header folded by a tab",
        "POST /build HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n",
    ),
    (
        "a space before the colon",
        "POST /build HTTP/1.1\r\nContent-Length : 5\r\n\r\nhello",
    ),
    (
        "a tab before the colon",
        "POST /build HTTP/1.1\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a header without a colon",
        "POST /build HTTP/1.1\r\nContent-Length\r\n\r\n",
    ),
    (
        "a header without a name",
        "POST /build HTTP/1.1\r\n: 5\r\n\r\n",
    ),
    (
        "a control byte in a name",
        "POST /build HTTP/1.1\r\nX\x01: 5\r\n\r\n",
    ),
    (
        "a null in a value",
        "POST /build HTTP/1.1\r\nX: a\0b\r\n\r\n",
    ),
    (
        "a vertical tab before the coding",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a bare LF after the first line",
        "GET /info HTTP/1.1\nHost: docker\r\n\r\n",
    ),
    (
        "a bare LF after a header",
        "GET /info HTTP/1.1\r\nHost: docker\n\r\n",
    ),
    (
        "a bare LF as the empty line",
        "GET /info HTTP/1.1\r\nHost: docker\r\n\n",
    ),
    ("bare LFs only", "GET /info HTTP/1.1\nHost: docker\n\n"),
    (
        "a bare CR in a value",
        "GET /info HTTP/1.1\r\nX: a\rContent-Length: 5\r\n\r\n",
    ),
    ("a bare CR in the first line", "GET /info\rHTTP/1.1\r\n\r\n"),
    (
        "two spaces before the target",
        "GET  /info HTTP/1.1\r\n\r\n",
    ),
    ("two spaces after the target", "GET /info  HTTP/1.1\r\n\r\n"),
    ("a tab after the method", "GET\t/info HTTP/1.1\r\n\r\n"),
    ("a null in the target", "GET /inf\0o HTTP/1.1\r\n\r\n"),
    (
        "an escaped null in the target",
        "GET /inf%00o HTTP/1.1\r\n\r\n",
    ),
    (
        "an escaped line break in the target",
        "GET /info%0d%0aX:1 HTTP/1.1\r\n\r\n",
    ),
    (
        "an encoded slash in what is ours",
        "GET /services%2fx HTTP/1.1\r\n\r\n",
    ),
    (
        "an encoded slash below what is ours",
        "GET /v1.41/nodes/a%2Fb HTTP/1.1\r\n\r\n",
    ),
    (
        "an encoded slash that leads to what is ours",
        "POST /x/..%2fswarm/init HTTP/1.1\r\n\r\n",
    ),
    (
        "a chunk of no size",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello",
    ),
    (
        "a chunk with a bare LF",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ),
    (
        "a signed chunk",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk with a prefix",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    ),
    (
        "a chunk too large for a number",
        "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello",
    ),
];

/// The same in calls that hyper reads for us.
const TARGETS: [&str; 3] = ["/build", "/services/create", "/containers/create"];

#[tokio::test]
async fn each_is_answered_with_400_and_nothing_is_forwarded() {
    let rig = Rig::new();
    for (wrong, request) in REQUESTS {
        for target in TARGETS {
            let request = request.replace("POST /build ", &format!("POST {target} "));
            let mut client = rig.client().await;
            // A refusal may come, and the connection end, before all is sent.
            let _ = within(client.write_all(request.as_bytes())).await;
            let said = rest(&mut client).await;
            assert!(
                said.starts_with("HTTP/1.1 400 Bad Request\r\n"),
                "{wrong}: {request:?}: {said}"
            );
            assert!(said.ends_with("\"}\n"), "{wrong}: {said}");
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{wrong}: {said}");
        }
    }
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn the_line_breaks_that_http_allows_pass() {
    let rig = Rig::new();
    let request = "\r\n\r\nGET /info HTTP/1.1\r\nHost:docker\r\nX:\t a \t\r\nY:\r\n\r\n";
    let _client = rig.sends(request).await;
    let mut engine = rig.accept().await;
    crate::support::expect(&mut engine, request.trim_start()).await;
}
