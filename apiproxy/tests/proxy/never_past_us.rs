//! What is ours, or could be taken for it, is answered here: the engine does not even see a connection.

use crate::support::{Rig, expect, rest, within, write};
use tokio::io::AsyncWriteExt;

const PATHS: [&str; 15] = [
    "/swarm",
    "/swarm/init",
    "/swarm/join",
    "/swarm/leave",
    "/swarm/update",
    "/swarm/unlockkey",
    "/swarm/unlock",
    "/nodes",
    "/nodes/x/update",
    "/services/create",
    "/services/x/logs",
    "/tasks/x/logs",
    "/secrets/x/update",
    "/configs/create",
    "/swarmrs/v1/status",
];

/// How a path may be written; `{}` is the path, `{e}` its first letter escaped.
const SPELLINGS: [&str; 14] = [
    "{}",
    "/v1.41{}",
    "{}/",
    "/{}",
    "/x/..{}",
    "/v1.41/.{}",
    "/v1.41/%2e%2e{}",
    "http://docker{}",
    "unix:{}",
    "{e}",
    "/v1.41{e}",
    "/%2e{}",
    "/x%2f..{}",
    "{}?a=b",
];

async fn said(rig: &Rig, request: impl AsRef<[u8]>) -> String {
    let mut client = rig.client().await;
    // A refusal may come, and the connection end, before all is sent.
    let _ = within(client.write_all(request.as_ref())).await;
    let _ = client.shutdown().await;
    rest(&mut client).await
}

#[tokio::test]
async fn no_spelling_of_any_call_of_ours_reaches_the_engine() {
    let rig = Rig::new();
    for path in PATHS {
        let escaped = format!("/%{:02x}{}", path.as_bytes()[1], &path[2..]);
        for spelling in SPELLINGS {
            let target = spelling.replace("{}", path).replace("{e}", &escaped);
            for method in [
                "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "SPAM",
            ] {
                let request = format!(
                    "{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
                );
                let said = said(&rig, request).await;
                assert!(said.starts_with("HTTP/1.1 "), "{method} {target}: {said:?}");
            }
        }
    }
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn an_unknown_path_below_ours_is_not_found() {
    let rig = Rig::new();
    let said = said(
        &rig,
        "GET /v1.41/services/x/y HTTP/1.1\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 404 Not Found\r\n"), "{said}");
    assert!(
        said.ends_with("\r\n\r\n{\"message\":\"page not found\"}\n"),
        "{said}"
    );
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn a_request_that_two_parsers_could_read_differently_is_refused() {
    let rig = Rig::new();
    for (request, status) in [
        ("POST /build HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc".to_owned(), 400),
        ("POST /build HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
        ("POST /containers/create HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc".to_owned(), 400),
        ("POST /build HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n".to_owned(), 501),
        ("GET /info HTTP/1.1\r\nA: b\r\n c\r\n\r\n".to_owned(), 400),
        ("GET /images%2F..%2fswarm HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /images/%00/json HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /images/%zz/json HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("CONNECT docker:80 HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("GET /info HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n".to_owned(), 400),
        ("GET /images/json HTTP/1.1\r\nUpgrade: websocket, H2C\r\n\r\n".to_owned(), 400),
        (format!("GET /images/json?{} HTTP/1.1\r\n\r\n", "a".repeat(66_000)), 414),
        (format!("GET /services?{} HTTP/1.1\r\n\r\n", "a".repeat(2_000_000)), 414),
        (format!("GET /info HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(200_000)), 431),
    ] {
        let shown = &request[..request.len().min(90)];
        let said = said(&rig, &request).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {said:?}");
        assert!(said.ends_with("\"}\n"), "{shown:?}: {said:?}");
    }
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn a_chunk_that_hides_a_second_request_ends_the_connection() {
    let rig = Rig::new();
    let head = "POST /build HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let hidden = "0\n\r\nPOST /swarm/init HTTP/1.1\r\n\r\n";
    let mut client = rig.sends(head).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, head).await;
    write(&mut client, hidden).await;
    assert_eq!(rest(&mut engine).await, "");
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 400 "));
    rig.engine_saw_nothing_more();
}
