//! What is the engine's alone arrives as it was sent, in both directions, whatever happens to either end.

use crate::support::{Rig, answer, expect, rest, within, write};
use tokio::io::AsyncWriteExt;

const PLAIN: &str = "GET /images/json HTTP/1.1\r\nHost: docker\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

#[tokio::test]
async fn a_request_and_its_answer_pass_byte_for_byte() {
    let rig = Rig::new();
    let request = "POST /v1.41/images/a%2Fb/push?tag=%20x HTTP/1.1\r\nhOsT:docker\r\nX-Registry-Auth:  e30=\r\nx-a: 1\r\nX-A: 2\r\n\
        Transfer-Encoding: chunked\r\n\r\n005;ext=\"1\"\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n";
    let reply = "HTTP/1.1 200 OK\r\napi-Version: 1.41\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n03\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
    let mut client = rig.sends(request).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, request).await;
    write(&mut engine, reply).await;
    expect(&mut client, reply).await;
}

#[tokio::test]
async fn each_piece_of_an_answer_arrives_before_the_next_is_sent() {
    let rig = Rig::new();
    let mut client = rig.sends("POST /containers/x/wait HTTP/1.1\r\n\r\n").await;
    let mut engine = rig.accept().await;
    for piece in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhel",
        "lo\r\n",
        "0\r\n\r\n",
    ] {
        write(&mut engine, piece).await;
        expect(&mut client, piece).await;
    }
}

#[tokio::test]
async fn a_call_handed_back_by_its_handler_passes_byte_for_byte() {
    let rig = Rig::new();
    for request in [
        "POST /containers/create HTTP/1.1\r\nhost: x\r\ncOntent-Length: 15\r\n\r\n{\"Image\": \"a\"} ",
        "POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\n{  }\r\n0\r\nA: b\r\n\r\n",
        "GET /v1.41/containers/json?all=1 HTTP/1.1\r\nHost: docker\r\n\r\n",
    ] {
        let mut client = rig.sends(request).await;
        let mut engine = rig.accept().await;
        expect(&mut engine, request).await;
        write(&mut engine, OK).await;
        expect(&mut client, OK).await;
    }
}

#[tokio::test]
async fn requests_in_one_write_are_answered_in_order_by_whom_they_are_for() {
    let rig = Rig::new();
    let ours = "POST /services/create HTTP/1.1\r\nContent-Length: 3\r\n\r\n{ }";
    let mut client = rig
        .sends([PLAIN, ours, "GET /nodes HTTP/1.1\r\n\r\n", PLAIN].concat())
        .await;
    let mut engine = rig.accept().await;
    expect(&mut engine, PLAIN).await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
    assert!(answer(&mut client).await.ends_with("ServiceCreate 3"));
    assert!(answer(&mut client).await.ends_with("NodeList 0"));
    expect(&mut engine, PLAIN).await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn a_kept_engine_connection_that_was_closed_is_replaced() {
    let rig = Rig::new();
    let mut client = rig.sends(PLAIN).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, PLAIN).await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
    write(&mut client, PLAIN).await;
    expect(&mut engine, PLAIN).await;
    drop(engine);
    let mut engine = rig.accept().await;
    expect(&mut engine, PLAIN).await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_its_answer_until_close() {
    let rig = Rig::new();
    let mut client = rig
        .sends("GET /images/json HTTP/1.0\r\n\r\nPOST /swarm/init HTTP/1.1\r\n\r\n")
        .await;
    let mut engine = rig.accept().await;
    expect(&mut engine, "GET /images/json HTTP/1.0\r\n\r\n").await;
    write(&mut engine, "HTTP/1.0 200 OK\r\n\r\nall of it").await;
    engine.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, "HTTP/1.0 200 OK\r\n\r\nall of it");
    assert_eq!(rest(&mut engine).await, "");
}

#[tokio::test]
async fn expect_100_continue_waits_for_the_engine() {
    let rig = Rig::new();
    let head = "PUT /containers/x/archive?path=/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let mut client = rig.sends(head).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, head).await;
    write(&mut engine, "HTTP/1.1 100 Continue\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    write(&mut client, "body").await;
    expect(&mut engine, "body").await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let rig = Rig::new();
    let mut client = rig
        .sends("POST /images/load HTTP/1.1\r\nContent-Length: 33554432\r\n\r\n")
        .await;
    let mut engine = rig.accept().await;
    let refusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
    write(&mut engine, refusal).await;
    drop(engine);
    // As much as one sends before looking: far more than all buffers on the way hold.
    let sent = within(client.write_all(&vec![b'x'; 4 << 20])).await;
    expect(&mut client, refusal).await;
    sent.expect("the rest of the body is taken");
}

#[tokio::test]
async fn a_large_upload_and_a_large_download_arrive_whole() {
    let rig = Rig::new();
    let body: Vec<u8> = (0..16 << 20)
        .map(|n: u32| (n / 7).to_le_bytes()[0])
        .collect();
    let framed = [
        format!("{:x}\r\n", body.len()).as_bytes(),
        &body,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    let head = "POST /images/load HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = rig.sends(head).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, head).await;
    tokio::join!(write(&mut client, &framed), expect(&mut engine, &framed));
    write(&mut engine, reply).await;
    expect(&mut client, reply).await;
    tokio::join!(write(&mut engine, &framed), expect(&mut client, &framed));
}

#[tokio::test]
async fn a_target_of_sixty_kib_passes() {
    let rig = Rig::new();
    for path in ["/images/create?spec=", "/containers/json?filters="] {
        let request = format!(
            "GET {path}{} HTTP/1.1\r\nHost: docker\r\n\r\n",
            "a".repeat(60 * 1024)
        );
        let mut client = rig.sends(&request).await;
        let mut engine = rig.accept().await;
        expect(&mut engine, &request).await;
        write(&mut engine, OK).await;
        expect(&mut client, OK).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_call_at_the_engine() {
    let rig = Rig::new();
    let client = rig.sends(PLAIN).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, PLAIN).await;
    drop(client);
    assert_eq!(rest(&mut engine).await, "");
    assert!(
        within(closed_to_writes(&mut engine)).await,
        "the whole connection is gone"
    );
}

/// Whether writing fails in the end.
async fn closed_to_writes(stream: &mut tokio::net::UnixStream) -> bool {
    while stream.write_all(b"x").await.is_ok() {
        tokio::task::yield_now().await;
    }
    true
}

#[tokio::test]
async fn an_engine_that_is_absent_or_silent_is_named_with_503() {
    let rig = Rig::new();
    let mut client = rig.sends(PLAIN).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, PLAIN).await;
    drop(engine);
    let path = rig.engine_path().display().to_string();
    let said = rest(&mut client).await;
    assert!(
        said.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && said.contains(&path),
        "{said}"
    );
    rig.remove_engine();
    let mut client = rig.sends(PLAIN).await;
    let said = rest(&mut client).await;
    assert!(
        said.starts_with("HTTP/1.1 503 Service Unavailable\r\n") && said.contains(&path),
        "{said}"
    );
    assert!(
        said.contains("\r\n\r\n{\"message\":\"") && said.ends_with("\"}\n"),
        "{said}"
    );
}

#[tokio::test]
async fn an_engine_that_dies_in_the_middle_leaves_a_broken_answer() {
    let rig = Rig::new();
    for part in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    ] {
        let mut client = rig.sends(PLAIN).await;
        let mut engine = rig.accept().await;
        expect(&mut engine, PLAIN).await;
        write(&mut engine, part).await;
        drop(engine);
        assert_eq!(rest(&mut client).await, part);
    }
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish_and_cuts_what_has_no_end() {
    let rig = Rig::new();
    let mut idle = rig.client().await;
    let mut busy = rig.sends(PLAIN).await;
    let mut busy_engine = rig.accept().await;
    let mut attached = rig
        .sends("POST /containers/x/attach HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        .await;
    let mut attached_engine = rig.accept().await;
    write(&mut attached_engine, "HTTP/1.1 101 UPGRADED\r\n\r\n").await;
    expect(&mut attached, "HTTP/1.1 101 UPGRADED\r\n\r\n").await;
    rig.stop();
    assert_eq!(rest(&mut idle).await, "");
    expect(&mut busy_engine, PLAIN).await;
    write(&mut busy_engine, OK).await;
    assert_eq!(rest(&mut busy).await, OK);
    assert_eq!(rest(&mut attached).await, "");
    within(rig.served).await.unwrap();
    assert!(
        rest(&mut attached_engine)
            .await
            .starts_with("POST /containers/x/attach ")
    );
}
