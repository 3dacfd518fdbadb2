//! Connections that stop speaking HTTP: every byte arrives, early ones too, and each end learns when the other is done.

use crate::support::{Rig, answer, expect, rest, within, write};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
const LEGACY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n";

fn attach(upgrade: bool) -> String {
    let headers = if upgrade {
        "Connection: Upgrade\r\nUpgrade: tcp\r\n"
    } else {
        ""
    };
    format!(
        "POST /v1.41/containers/x/attach?stdin=1&stream=1 HTTP/1.1\r\nHost: docker\r\n{headers}\r\n"
    )
}

/// Both kinds of hijack: the request and the engine's answer to it.
fn kinds() -> [(String, &'static str); 2] {
    [(attach(true), UPGRADED), (attach(false), LEGACY)]
}

async fn hijacked(rig: &Rig, request: &str, reply: &str) -> (UnixStream, UnixStream) {
    let mut client = rig.sends(request).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, request).await;
    write(&mut engine, reply).await;
    expect(&mut client, reply).await;
    (client, engine)
}

fn mebibyte() -> Vec<u8> {
    (0..1 << 20)
        .map(|n: u32| (n / 3).to_le_bytes()[0])
        .collect()
}

#[tokio::test]
async fn a_mebibyte_of_input_arrives_and_its_end_leaves_the_output_open() {
    let rig = Rig::new();
    for (request, reply) in kinds() {
        let (mut client, mut engine) = hijacked(&rig, &request, reply).await;
        let input = mebibyte();
        tokio::join!(write(&mut client, &input), expect(&mut engine, &input));
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut engine).await, "");
        write(&mut engine, "output after the input's end").await;
        expect(&mut client, "output after the input's end").await;
        drop(engine);
        assert_eq!(rest(&mut client).await, "");
    }
}

#[tokio::test]
async fn the_end_of_output_leaves_the_input_open() {
    let rig = Rig::new();
    for (request, reply) in kinds() {
        let (mut client, mut engine) = hijacked(&rig, &request, reply).await;
        write(&mut engine, "bye").await;
        engine.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "bye");
        write(&mut client, "still here").await;
        expect(&mut engine, "still here").await;
        drop(client);
        assert_eq!(rest(&mut engine).await, "");
    }
}

#[tokio::test]
async fn early_bytes_of_both_sides_arrive_in_order() {
    let rig = Rig::new();
    for (request, reply) in kinds() {
        let mut client = rig.sends(format!("{request}early ")).await;
        let mut engine = rig.accept().await;
        expect(&mut engine, &request).await;
        write(&mut client, "and a bit later ").await;
        write(&mut engine, format!("{reply}first output")).await;
        expect(&mut client, format!("{reply}first output")).await;
        write(&mut client, "and then").await;
        expect(&mut engine, "early and a bit later and then").await;
    }
}

#[tokio::test]
async fn input_that_ended_before_the_engine_answered_is_not_lost() {
    let rig = Rig::new();
    for (request, reply) in kinds() {
        let mut client = rig.sends(format!("{request}all my input")).await;
        client.shutdown().await.unwrap();
        let mut engine = rig.accept().await;
        expect(&mut engine, &request).await;
        write(&mut engine, reply).await;
        assert_eq!(rest(&mut engine).await, "all my input");
        write(&mut engine, "output").await;
        drop(engine);
        assert_eq!(rest(&mut client).await, format!("{reply}output"));
    }
}

#[tokio::test]
async fn more_early_input_than_is_kept_waits_and_arrives() {
    let rig = Rig::new();
    let (request, reply) = (attach(true), UPGRADED);
    let mut client = rig.sends(&request).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, &request).await;
    let input = mebibyte();
    let engine_side = async {
        write(&mut engine, reply).await;
        expect(&mut engine, &input).await;
    };
    tokio::join!(write(&mut client, &input), engine_side);
    expect(&mut client, reply).await;
}

#[tokio::test]
async fn an_exec_sends_its_request_body_first_and_then_its_input() {
    let rig = Rig::new();
    let head = "POST /exec/x/start HTTP/1.1\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 13\r\n\r\n{\"Tty\": true}";
    let mut client = rig.sends(format!("{head}ls\n")).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, head).await;
    write(&mut engine, UPGRADED).await;
    expect(&mut client, UPGRADED).await;
    expect(&mut engine, "ls\n").await;
}

#[tokio::test]
async fn websockets_and_sessions_pass_through() {
    let rig = Rig::new();
    for (request, reply) in [
        (
            "GET /containers/x/attach/ws?stream=1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhl\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pP\r\n\r\n",
        ),
        (
            "POST /session HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nX-Docker-Expose-Session-Grpc-Method: a\r\nX-Docker-Expose-Session-Grpc-Method: b\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
        (
            "POST /v1.41/grpc HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ),
    ] {
        let (mut client, mut engine) = hijacked(&rig, request, reply).await;
        let frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x81\xff";
        write(&mut engine, frames).await;
        expect(&mut client, frames).await;
        write(&mut client, frames).await;
        expect(&mut engine, frames).await;
    }
}

#[tokio::test]
async fn a_client_or_engine_that_is_gone_takes_the_other_side_along() {
    let rig = Rig::new();
    for (request, reply) in kinds() {
        let (client, mut engine) = hijacked(&rig, &request, reply).await;
        drop(client);
        assert_eq!(rest(&mut engine).await, "");
        within(async {
            while engine.write_all(b"output").await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;

        let (mut client, mut engine) = hijacked(&rig, &request, reply).await;
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut engine).await, "");
        drop(client);
        within(async {
            while engine.write_all(b"output").await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;

        let (mut client, engine) = hijacked(&rig, &request, reply).await;
        drop(engine);
        assert_eq!(rest(&mut client).await, "");
        within(async {
            while client.write_all(b"input").await.is_ok() {
                tokio::task::yield_now().await
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_follows_a_refused_hijack_is_a_request_again() {
    let rig = Rig::new();
    for (request, _) in kinds() {
        let mut client = rig
            .sends(format!("{request}POST /swarm/init HTTP/1.1\r\n\r\n"))
            .await;
        let mut engine = rig.accept().await;
        expect(&mut engine, &request).await;
        write(
            &mut engine,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
        expect(
            &mut client,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        )
        .await;
        assert!(answer(&mut client).await.ends_with("SwarmInit 0"));
    }
    rig.engine_saw_nothing_more();
}
