//! Health checks.

use crate::control::refused;
use swarmrs_types::spec::HealthConfig;
use swarmrs_types::{Fault, Nanos};

/// The engine takes no shorter span than a millisecond; 0 inherits the image's.
const LEAST: Nanos = Nanos(1_000_000);

/// Spans and retries.
pub(super) fn check(health: &HealthConfig) -> Result<(), Fault> {
    let spans = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    for (name, span) in spans {
        if !span.is_zero() && span < LEAST {
            return Err(refused(format!(
                "ContainerSpec: {name} in HealthConfig cannot be less than 1ms"
            )));
        }
    }
    if health.retries < 0 {
        return Err(refused(
            "ContainerSpec: Retries in HealthConfig cannot be negative",
        ));
    }
    Ok(())
}
