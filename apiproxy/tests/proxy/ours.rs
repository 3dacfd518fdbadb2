//! Calls that the API answers, on the same connections as the engine's.

use crate::support::{Rig, answer, expect, rest, within, write};

#[tokio::test]
async fn a_call_is_dropped_when_its_client_hangs_up() {
    let mut rig = Rig::new();
    let client = rig
        .sends("GET /tasks/x/logs?follow=1 HTTP/1.1\r\n\r\n")
        .await;
    // A second call through the same listener shows that the first has been taken up.
    assert!(
        answer(&mut rig.sends("GET /nodes HTTP/1.1\r\n\r\n").await)
            .await
            .ends_with("NodeList 0")
    );
    assert!(rig.calls_dropped.try_recv().is_err(), "not before");
    drop(client);
    within(rig.calls_dropped.recv()).await.unwrap();
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let rig = Rig::new();
    let head =
        "POST /services/create HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let mut client = rig.sends(head).await;
    expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    write(&mut client, "body").await;
    assert!(answer(&mut client).await.ends_with("ServiceCreate 4"));
}

#[tokio::test]
async fn a_chunked_body_with_trailers_is_read_whole_and_the_next_request_follows() {
    let rig = Rig::new();
    let first = "POST /services/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nA: b\r\n\r\n";
    let mut client = rig
        .sends(format!("{first}GET /nodes HTTP/1.1\r\n\r\n"))
        .await;
    assert!(answer(&mut client).await.ends_with("ServiceCreate 5"));
    assert!(answer(&mut client).await.ends_with("NodeList 0"));
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_let_go() {
    let rig = Rig::new();
    let mut client = rig.sends("GET /nodes HTTP/1.0\r\n\r\n").await;
    let said = rest(&mut client).await;
    assert!(
        said.starts_with("HTTP/1.0 200 OK\r\n") && said.ends_with("NodeList 0"),
        "{said}"
    );
}

#[tokio::test]
async fn options_on_our_paths_is_an_empty_200() {
    let rig = Rig::new();
    let mut client = rig.sends("OPTIONS /services/x HTTP/1.1\r\n\r\n").await;
    let said = answer(&mut client).await;
    assert!(
        said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\n"),
        "{said}"
    );
    rig.engine_saw_nothing_more();
}
