//! The call that a handler edits: one idle connection serves the next, and a closed one is replaced.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use swarmrs_apiproxy::Engine;
use tokio::net::UnixStream;

use crate::support::{Rig, expect, within, write};

async fn ask(engine: &Engine) -> String {
    let request = Request::get("/info")
        .header("Host", "docker")
        .body(Full::<Bytes>::default())
        .expect("an answer");
    let response = within(engine.send(request)).await.expect("an answer");
    let body = within(response.into_body().collect())
        .await
        .expect("an answer")
        .to_bytes();
    String::from_utf8(body.to_vec()).expect("an answer")
}

async fn reply(engine: &mut UnixStream, body: &str) {
    expect(engine, "GET /info HTTP/1.1\r\nHost: docker\r\n\r\n").await;
    write(
        engine,
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
    .await;
}

#[tokio::test]
async fn calls_in_a_row_share_a_connection_until_the_engine_closes_it() {
    let rig = Rig::new();
    let engine = Engine::new(rig.engine_path());
    let serving = async {
        let mut first = rig.accept().await;
        reply(&mut first, "1").await;
        reply(&mut first, "2").await;
        drop(first);
        let mut second = rig.accept().await;
        reply(&mut second, "3").await;
    };
    let asking = async { [ask(&engine).await, ask(&engine).await, ask(&engine).await] };
    let (answers, ()) = tokio::join!(asking, serving);
    assert_eq!(answers, ["1", "2", "3"]);
}

#[tokio::test]
async fn an_absent_engine_is_named() {
    let rig = Rig::new();
    rig.remove_engine();
    let engine = Engine::new(rig.engine_path());
    let request = Request::get("/info")
        .body(Full::<Bytes>::default())
        .unwrap();
    let error = engine.send(request).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("unix://{}", rig.engine_path().display())),
        "{error}"
    );
}
