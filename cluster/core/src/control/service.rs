//! Services: create, update, roll back, remove.
//!
//! A service refers to its spec by number, so an update writes two objects: the new version of the
//! spec, and the service that points at it and remembers the one before. A manual rollback only
//! swaps the two numbers; a second one swaps them back.

use super::{MOST_TASKS, convert, expect_version, networks, payload, random_name, scope, validate};
use crate::allocator::{self, port};
use crate::change::{Key, Rejected};
use crate::plan::{Draft, Ids, Plan};
use crate::state::{State, find};
use std::sync::Arc;
use swarmrs_types::object::{
    JobStatus, RegistryAuth, Service, SpecNumber, SpecVersion, UpdateState, UpdateStatus,
};
use swarmrs_types::spec::{Mode, ServiceSpec};
use swarmrs_types::{ClusterTime, Code, Fault, ServiceId, TaskState, Timestamp};

/// Where the registry login comes from if the request brings none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthFrom {
    #[default]
    Spec,
    PreviousSpec,
}

/// What an update request says beside the spec.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UpdateOptions {
    pub auth: Option<RegistryAuth>,
    pub auth_from: AuthFrom,
    /// Return to the previous spec; the one in the request must be valid and is not used.
    pub rollback: bool,
}

/// Makes a service. A spec without a name gets a random one.
pub fn create(
    state: &State,
    mut spec: ServiceSpec,
    auth: Option<RegistryAuth>,
    now: ClusterTime,
    ids: &mut dyn Ids,
) -> Result<(ServiceId, Plan), Fault> {
    networks::resolve(state, &mut spec)?;
    let mut spec = convert::service(spec)?;
    if spec.name.is_empty() {
        spec.name = random_name::draw(state, ids);
    }
    validate::service(&spec)?;
    networks::may_be_named(state, &spec)?;
    port::check(state, spec.endpoint_spec.as_ref(), None)?;
    networks::mesh_exists(state, &spec)?;
    payloads_exist(state, &spec)?;
    scope::service(&spec)?;
    if state.service_named(&spec.name).is_some() {
        return Err(super::fault_of(&Rejected::NameTaken {
            kind: "service".to_owned(),
            name: spec.name,
        }));
    }
    let service = Service {
        id: ServiceId(ids.next()),
        meta: Default::default(),
        name: spec.name.clone(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint: allocator::endpoint(state, &spec, None, now)?,
        update_status: None,
        update: None,
        job: spec.mode.is_job().then(|| JobStatus::first(now.shown())),
        unknown: Default::default(),
    };
    let id = service.id;
    let mut draft = Draft::new(state, now);
    guard_references(&mut draft, &spec);
    draft.put_spec(version(id, 1, spec, auth));
    draft.put_service(service);
    Ok((id, draft.finish()))
}

/// Gives the service `term` names a new spec, or its previous one back. `version` is the one the
/// user read; `wall` is shown as the start of a rollback.
pub fn update(
    state: &State,
    term: &str,
    version: u64,
    mut spec: ServiceSpec,
    options: UpdateOptions,
    now: ClusterTime,
    wall: Timestamp,
) -> Result<Plan, Fault> {
    networks::resolve(state, &mut spec)?;
    let mut spec = convert::service(spec)?;
    let service = look_up(state, term)?;
    let auth = auth(state, &service, &options)?;
    // An unnamed spec gets a random name in Docker, which is then another name than before.
    let unnamed = spec.name.is_empty();
    if unnamed {
        spec.name.clone_from(&service.name);
    }
    validate::service(&spec)?;
    networks::may_be_named(state, &spec)?;
    port::check(state, spec.endpoint_spec.as_ref(), Some(service.id))?;
    networks::mesh_exists(state, &spec)?;
    payloads_exist(state, &spec)?;
    keeps_mode(state, &service, &spec.mode)?;
    if unnamed || spec.name != service.name {
        return Err(unimplemented_by_manager(
            "renaming services is not supported",
        ));
    }
    let rollback = options.rollback.then(|| previous(&service)).transpose()?;
    scope::service(&spec)?;
    expect_version(version, service.meta.version)?;
    let mut draft = Draft::new(state, now);
    match rollback {
        Some(to) => roll_back(&mut draft, &service, to, wall)?,
        None => move_on(&mut draft, &service, spec, auth, wall)?,
    }
    Ok(draft.finish())
}

/// Removes the service `term` names. Its tasks are wanted gone in the same plan, so that nothing
/// sees them as running on; what a plan cannot hold follows in the leader's next steps.
pub fn remove(state: &State, term: &str) -> Result<(ServiceId, Plan), Fault> {
    let service = look_up(state, term)?;
    let mut draft = Draft::new(state, state.time());
    let tasks = state
        .tasks_of_service(service.id)
        .filter(|task| task.desired < TaskState::Remove);
    for task in tasks.take(MOST_TASKS) {
        draft.update_task(task.id, |task| task.desired = TaskState::Remove);
    }
    draft.remove(Key::Service(service.id));
    Ok((service.id, draft.finish()))
}

fn look_up(state: &State, term: &str) -> Result<Arc<Service>, Fault> {
    let id: ServiceId = find(state, term)?;
    let service = state.services().get(&id);
    service
        .cloned()
        .ok_or_else(|| Fault::no_such("service", term))
}

/// The login kept with the new spec: the request's own, or the one of an earlier spec.
fn auth(
    state: &State,
    service: &Service,
    options: &UpdateOptions,
) -> Result<Option<RegistryAuth>, Fault> {
    if options.auth.is_some() {
        return Ok(options.auth.clone());
    }
    let number = match (options.auth_from, service.previous_spec) {
        (AuthFrom::Spec, _) => service.spec,
        (AuthFrom::PreviousSpec, Some(previous)) => previous,
        (AuthFrom::PreviousSpec, None) => {
            return Err(Fault::daemon(
                Code::Unknown,
                "service does not have a previous spec",
            ));
        }
    };
    let spec = state.spec(service.id, number);
    Ok(spec.and_then(|spec| spec.registry_auth.clone()))
}

fn payloads_exist(state: &State, spec: &ServiceSpec) -> Result<(), Fault> {
    let container = spec.task_template.container_spec.as_ref();
    container.map_or(Ok(()), |container| payload::exist(state, container))
}

/// A plan holds only while all that the spec refers to stays.
fn guard_references(draft: &mut Draft<'_>, spec: &ServiceSpec) {
    networks::guard(draft, spec);
    if let Some(container) = &spec.task_template.container_spec {
        payload::guard(draft, container);
    }
}

fn keeps_mode(state: &State, service: &Service, mode: &Mode) -> Result<(), Fault> {
    let current = state.current_spec(service);
    if current.is_some_and(|old| kind(&old.spec.mode) != kind(mode)) {
        return Err(unimplemented_by_manager(
            "service mode change is not allowed",
        ));
    }
    Ok(())
}

fn kind(mode: &Mode) -> [bool; 4] {
    [
        mode.replicated.is_some(),
        mode.global.is_some(),
        mode.replicated_job.is_some(),
        mode.global_job.is_some(),
    ]
}

fn unimplemented_by_manager(text: &str) -> Fault {
    Fault::manager(Code::Unimplemented, text)
}

fn previous(service: &Service) -> Result<SpecNumber, Fault> {
    service.previous_spec.ok_or_else(|| {
        Fault::manager(
            Code::FailedPrecondition,
            format!("service {} does not have a previous spec", service.id),
        )
    })
}

fn move_on(
    draft: &mut Draft<'_>,
    service: &Service,
    spec: ServiceSpec,
    auth: Option<RegistryAuth>,
    wall: Timestamp,
) -> Result<(), Fault> {
    let number = service.last_spec + 1;
    guard_references(draft, &spec);
    let endpoint = allocator::endpoint(draft, &spec, Some(service), draft.now)?;
    draft.put_service(Service {
        spec: number,
        previous_spec: Some(service.spec),
        last_spec: number,
        endpoint,
        update_status: None,
        update: None,
        job: service.job.map(|job| job.next(wall)),
        ..service.clone()
    });
    draft.put_spec(version(service.id, number, spec, auth));
    Ok(())
}

fn roll_back(
    draft: &mut Draft<'_>,
    service: &Service,
    to: SpecNumber,
    wall: Timestamp,
) -> Result<(), Fault> {
    let mut endpoint = service.endpoint.clone();
    if let Some(spec) = draft.spec(service.id, to).cloned() {
        networks::guard(draft, &spec.spec);
        endpoint = allocator::endpoint(draft, &spec.spec, Some(service), draft.now)?;
    }
    draft.put_service(Service {
        spec: to,
        previous_spec: Some(service.spec),
        endpoint,
        update_status: service.job.is_none().then(|| rollback_started(wall)),
        update: None,
        job: service.job.map(|job| job.next(wall)),
        ..service.clone()
    });
    Ok(())
}

/// A job has no rolling update to show: it runs again.
fn rollback_started(wall: Timestamp) -> UpdateStatus {
    UpdateStatus {
        state: UpdateState::RollbackStarted,
        started_at: Some(wall),
        completed_at: None,
        message: "manually requested rollback".to_owned(),
    }
}

fn version(
    service: ServiceId,
    number: SpecNumber,
    spec: ServiceSpec,
    registry_auth: Option<RegistryAuth>,
) -> SpecVersion {
    SpecVersion {
        service,
        number,
        spec,
        registry_auth,
        unknown: Default::default(),
    }
}
