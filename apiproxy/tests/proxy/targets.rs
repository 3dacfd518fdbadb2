//! Targets that no URI may have and that Go takes all the same, as people write filters by hand.

use crate::support::{Rig, answer, expect, rest, write};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

const QUERIES: [&str; 6] = [
    r#"filters={"name":["x"]}"#,
    "a=<b>&c=<",
    "a=b|c",
    r"a={b}^`\c",
    "name=käse€",
    r#"filters={"label":["a#b"]}"#,
];

#[tokio::test]
async fn a_raw_call_keeps_the_bytes_of_its_target() {
    let rig = Rig::new();
    for query in QUERIES {
        let request = format!("GET /images/json?{query} HTTP/1.1\r\nHost: docker\r\n\r\n");
        let mut client = rig.sends(&request).await;
        let mut engine = rig.accept().await;
        expect(&mut engine, &request).await;
        write(&mut engine, OK).await;
        expect(&mut client, OK).await;
    }
}

#[tokio::test]
async fn a_call_handed_back_keeps_the_bytes_of_its_target() {
    let rig = Rig::new();
    for query in QUERIES {
        for request in [
            format!("GET /v1.41/containers/json?{query} HTTP/1.1\r\nHost: docker\r\n\r\n"),
            format!("POST /containers/create?{query} HTTP/1.1\r\ncontent-length: 3\r\n\r\n{{ }}"),
        ] {
            let mut client = rig.sends(&request).await;
            let mut engine = rig.accept().await;
            expect(&mut engine, &request).await;
            write(&mut engine, OK).await;
            expect(&mut client, OK).await;
        }
    }
}

#[tokio::test]
async fn a_handler_of_ours_sees_the_query_as_the_client_wrote_it() {
    let rig = Rig::new();
    let mut client = rig.client().await;
    for query in QUERIES {
        let list = format!("GET /services?{query} HTTP/1.1\r\n\r\n");
        let create = format!(
            "POST /v1.41/services/create?{query} HTTP/1.1\r\nContent-Length: 3\r\n\r\n{{ }}"
        );
        write(&mut client, list + &create).await;
        for name in ["ServiceList 0", "ServiceCreate 3"] {
            let said = answer(&mut client).await;
            assert!(said.ends_with(name), "{query}: {said}");
            assert!(said.contains(&format!("Query: {query}\r\n")), "{said}");
        }
    }
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn such_characters_may_stand_in_a_path_too() {
    let rig = Rig::new();
    let request = "GET /images/a\"b<c|d{e}ü/json HTTP/1.1\r\n\r\n";
    let mut client = rig.sends(request).await;
    let mut engine = rig.accept().await;
    expect(&mut engine, request).await;
    write(&mut engine, OK).await;
    expect(&mut client, OK).await;
    let mut client = rig
        .sends("GET /services/a\"b<c|d{e}ü HTTP/1.1\r\n\r\n")
        .await;
    let said = answer(&mut client).await;
    assert!(
        said.ends_with("ServiceInspect { id: \"a\\\"b<c|d{e}ü\" } 0"),
        "{said}"
    );
    rig.engine_saw_nothing_more();
}

#[tokio::test]
async fn a_target_that_is_not_utf_8_is_refused() {
    let rig = Rig::new();
    for path in ["/images/json", "/containers/json", "/services"] {
        let request = [b"GET ", path.as_bytes(), b"?a=\xff HTTP/1.1\r\n\r\n"].concat();
        let said = rest(&mut rig.sends(request).await).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{path}: {said}");
    }
    rig.engine_saw_nothing_more();
}
