//! The plug-in's socket: HTTP, one POST per call.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::call::Driver;

/// Most bytes of a call; the engine's are a few kilobytes.
const LARGEST_CALL: usize = 1 << 20;
/// The form that plug-ins answer in. Source: libnetwork `pkg/plugins/transport`.
const FORM: HeaderValue = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the engine for as long as it is polled.
pub async fn serve(listener: UnixListener, driver: Arc<Driver>) {
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                open.spawn(converse(stream, driver.clone()));
            }
            Err(error) => {
                warn!(%error, "the network driver takes no connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, driver: Arc<Driver>) {
    let answer = service_fn(move |request| {
        let driver = driver.clone();
        async move { Ok::<_, Infallible>(answer(request, &driver).await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = served.await {
        debug!(%error, "connection of the engine to the network driver");
    }
}

async fn answer(request: Request<Incoming>, driver: &Driver) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        let said = "network driver calls are POST requests";
        return reply(StatusCode::METHOD_NOT_ALLOWED, &json!({ "Err": said }));
    }
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST_CALL).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let said = format!("the call could not be read: {error}");
            return reply(StatusCode::BAD_REQUEST, &json!({ "Err": said }));
        }
    };
    match driver.call(head.uri.path(), &body).await {
        Some(answer) => reply(StatusCode::OK, &answer),
        None => {
            let said = format!("the network driver knows no call {:?}", head.uri.path());
            reply(StatusCode::NOT_FOUND, &json!({ "Err": said }))
        }
    }
}

fn reply(status: StatusCode, answer: &Value) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::from(answer.to_string()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, FORM);
    reply
}
