//! A fault as the client reads it: status and body. The only place that knows HTTP statuses of faults.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use swarmrs_types::{Code, Fault, Origin};
use tracing::error;

use crate::refusal::refusal;
use crate::route::ApiVersion;
use crate::server::Body;
use crate::version::OLDEST;

/// The status of a fault. Source: moby `daemon/server/httpstatus`, and its mapping of gRPC codes.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::DeadlineExceeded | Code::Unknown | Code::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// The text of a fault. What the manager says comes through Docker's daemon with its RPC still around it, and clients match
/// on that.
pub fn message(fault: &Fault) -> String {
    match fault.origin {
        Origin::Daemon => fault.text.clone(),
        Origin::Manager => format!("rpc error: code = {:?} desc = {}", fault.code, fault.text),
    }
}

/// The answer to a call that failed. Versions before the first with a swarm get plain text.
pub fn answer(fault: &Fault, asked: Option<ApiVersion>) -> Response<Body> {
    if fault.code == Code::Internal {
        error!(fault = %fault.text, "a call failed");
    }
    let status = status(fault.code);
    match asked {
        Some(version) if version < OLDEST => plain(status, message(fault)),
        _ => refusal(status, &message(fault)),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Body> {
    let body = Full::new(Bytes::from(text + "\n")).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::version;

    #[test]
    fn every_code_has_the_status_that_docker_gives_it() {
        let table = [
            (Code::InvalidArgument, 400),
            (Code::NotFound, 404),
            (Code::AlreadyExists, 409),
            (Code::PermissionDenied, 403),
            (Code::FailedPrecondition, 400),
            (Code::Unimplemented, 501),
            (Code::Unavailable, 503),
            (Code::Unauthenticated, 401),
            (Code::DeadlineExceeded, 500),
            (Code::Unknown, 500),
            (Code::Internal, 500),
        ];
        for (code, expected) in table {
            assert_eq!(status(code).as_u16(), expected, "{code:?}");
        }
    }

    #[test]
    fn only_the_managers_faults_carry_their_rpc() {
        let stale = Fault::manager(Code::Unknown, "update out of sequence");
        assert_eq!(
            message(&stale),
            "rpc error: code = Unknown desc = update out of sequence"
        );
        assert_eq!(message(&Fault::invalid("no")), "no");
    }

    #[tokio::test]
    async fn versions_before_swarm_get_plain_text() {
        let fault = Fault::invalid("too old");
        let old = answer(&fault, Some(version(1, 23)));
        assert_eq!(old.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        let body = old.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "too old\n");
        let new = answer(&fault, None);
        let body = new.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "{\"message\":\"too old\"}\n");
    }
}
