//! What applies where a spec says nothing: `insertDefaults=true`.
//!
//! Only whole parts are filled in, and two spans inside given ones, as swarmkit does (`api/defaults`). So an update config
//! without a parallelism keeps its 0, which means all at once.

use swarmrs_types::Nanos;
use swarmrs_types::default::{RESTART_DELAY, STOP_GRACE, UPDATE_MONITOR, UPDATE_PARALLELISM};
use swarmrs_types::spec::{
    FailureAction, RestartCondition, RestartPolicy, ServiceSpec, UpdateConfig, UpdateOrder,
};

/// Fills a spec.
pub(super) fn fill(spec: &mut ServiceSpec) {
    let template = &mut spec.task_template;
    if let Some(container) = &mut template.container_spec {
        container.stop_grace_period.get_or_insert(nanos(STOP_GRACE));
        container.dns_config.get_or_insert_default();
    }
    template.resources.get_or_insert_default();
    template.placement.get_or_insert_default();
    let restart = template.restart_policy.get_or_insert_with(restart_policy);
    restart.delay.get_or_insert(nanos(RESTART_DELAY));
    fill_update(spec.update_config.get_or_insert_with(update_config));
    fill_update(spec.rollback_config.get_or_insert_with(update_config));
}

fn fill_update(config: &mut UpdateConfig) {
    if config.monitor.is_zero() {
        config.monitor = nanos(UPDATE_MONITOR);
    }
}

fn restart_policy() -> RestartPolicy {
    RestartPolicy {
        condition: Some(RestartCondition::Any),
        max_attempts: Some(0),
        ..RestartPolicy::default()
    }
}

fn update_config() -> UpdateConfig {
    UpdateConfig {
        parallelism: UPDATE_PARALLELISM,
        failure_action: Some(FailureAction::Pause),
        order: Some(UpdateOrder::StopFirst),
        ..UpdateConfig::default()
    }
}

fn nanos(span: std::time::Duration) -> Nanos {
    Nanos(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}
