//! An engine for tests: it answers what a test has it answer.

use std::net::SocketAddr;

use serde_json::json;
use swarmrs_engine::Engine;
use tempfile::TempDir;
use tokio::net::{TcpStream, UnixListener};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// Of API 1.41, so that all other paths begin with `/v1.41`.
pub struct MockEngine {
    pub server: MockServer,
    pub engine: Engine,
    _folder: TempDir,
}

impl MockEngine {
    pub async fn start() -> Self {
        let server = MockServer::start().await;
        let version = json!({"Version": "fake", "ApiVersion": "1.41", "MinAPIVersion": "1.12"});
        let told = ResponseTemplate::new(200).set_body_json(version);
        let version = Mock::given(path("/version")).respond_with(told);
        version.mount(&server).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        bridge(UnixListener::bind(&socket).unwrap(), *server.address());
        MockEngine {
            server,
            engine: Engine::connect(&socket),
            _folder: folder,
        }
    }
}

fn bridge(listener: UnixListener, to: SocketAddr) {
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
}
