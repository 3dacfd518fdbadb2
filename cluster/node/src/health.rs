//! Whether the engine behind us can carry a swarm of ours.

use swarmrs_engine::Engine;
use tracing::warn;

/// The oldest Engine API a node works with.
const OLDEST_API: (u16, u16) = (1, 41);

/// Why the engine cannot be used, as the user is told; none if it can. An engine that does not
/// answer is waited for, so it is no reason.
pub async fn check_engine(engine: &Engine) -> Option<String> {
    let version = match engine.version().await {
        Ok(version) => version,
        Err(error) if error.is_lost() => {
            warn!(socket = %engine.socket().display(), %error, "the engine does not answer yet");
            return None;
        }
        Err(error) => return Some(error.message()),
    };
    let api = version.api_version;
    if (api.major, api.minor) < OLDEST_API {
        return Some(format!(
            "the engine speaks API {}.{}, swarmrs needs {}.{} or newer (Docker 20.10): upgrade the engine",
            api.major, api.minor, OLDEST_API.0, OLDEST_API.1
        ));
    }
    match engine.info().await {
        Ok(info) if info.swarm_active => Some(in_swarm_mode(engine)),
        _ => None,
    }
}

fn in_swarm_mode(engine: &Engine) -> String {
    let socket = engine.socket().display();
    format!(
        "the engine at {socket} is itself in swarm mode: nothing is scheduled beside it. \
         To leave its swarm (its services end): docker -H unix://{socket} swarm leave --force"
    )
}
