use super::*;
use swarmrs_core::Delta;
use swarmrs_types::object::Node as NodeObject;
use swarmrs_types::object::{self, Endpoint, Meta, NodeState, Service};
use swarmrs_types::spec::{Availability, NodeSpec, Role};

fn at(nanos: i128) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn meta() -> Meta {
    Meta {
        version: 3,
        created_at: at(1_000_000_001),
        updated_at: at(2_000_000_002),
    }
}

fn node() -> NodeObject {
    let spec = NodeSpec {
        role: Role::Manager,
        availability: Availability::Active,
        ..NodeSpec::default()
    };
    let mut node = NodeObject::new("0123456789abcdefghijklmno".parse().unwrap(), spec);
    node.meta = meta();
    node.description.hostname = "h1".to_owned();
    node.status.state = NodeState::Ready;
    node
}

fn service() -> Service {
    Service {
        id: "abcdefghijklmno0123456789".parse().unwrap(),
        meta: meta(),
        name: "web".to_owned(),
        spec: 1,
        previous_spec: None,
        last_spec: 1,
        endpoint: Endpoint::default(),
        update_status: None,
        update: None,
        job: None,
        unknown: Default::default(),
    }
}

fn delta<T>(old: Option<T>, new: Option<T>) -> Delta<T> {
    Delta {
        old: old.map(Arc::new),
        new: new.map(Arc::new),
    }
}

fn told(event: Event) -> String {
    let message = describe::describe(&event, &State::default(), at(9_000_000_009));
    serde_json::to_string(&message).unwrap()
}

#[test]
fn a_new_service_is_told_at_the_time_of_its_creation() {
    let created = told(Event::Service(delta(None, Some(service()))));
    let expected = "{\"Type\":\"service\",\"Action\":\"create\",\"Actor\":{\"ID\":\"abcdefghijklmno0123456789\",\
                    \"Attributes\":{\"name\":\"web\"}},\"scope\":\"swarm\",\"time\":1,\"timeNano\":1000000001}";
    assert_eq!(created, expected);
}

#[test]
fn a_removed_one_is_told_at_the_time_of_removal() {
    let removed = told(Event::Service(delta(Some(service()), None)));
    assert!(removed.contains("\"Action\":\"remove\""), "{removed}");
    assert!(removed.contains("\"timeNano\":9000000009"), "{removed}");
}

#[test]
fn the_first_update_has_no_old_state() {
    let status = |state| object::UpdateStatus {
        state,
        started_at: None,
        completed_at: None,
        message: String::new(),
    };
    let updating = Service {
        update_status: Some(status(object::UpdateState::Updating)),
        ..service()
    };
    let first = told(Event::Service(delta(
        Some(service()),
        Some(updating.clone()),
    )));
    assert!(
        first.contains("\"Attributes\":{\"name\":\"web\",\"updatestate.new\":\"updating\"}"),
        "{first}"
    );
    let completed = Service {
        update_status: Some(status(object::UpdateState::Completed)),
        ..service()
    };
    let second = told(Event::Service(delta(Some(updating), Some(completed))));
    let attributes =
        "{\"name\":\"web\",\"updatestate.new\":\"completed\",\"updatestate.old\":\"updating\"}";
    assert!(second.contains(attributes), "{second}");
}

#[test]
fn a_node_goes_by_its_hostname_and_tells_what_changed() {
    let drained = NodeObject {
        spec: NodeSpec {
            availability: Availability::Drain,
            ..node().spec
        },
        ..node()
    };
    let message = told(Event::Node(delta(Some(node()), Some(drained))));
    let attributes =
        "{\"availability.new\":\"drain\",\"availability.old\":\"active\",\"name\":\"h1\"}";
    assert!(message.contains(attributes), "{message}");
}

#[test]
fn filters_name_kinds_actions_and_objects() {
    let created = Event::Service(delta(None, Some(service())));
    let message = describe::describe(&created, &State::default(), at(0)).unwrap();
    let table = [
        ("", true),
        (r#"{"type":["service"]}"#, true),
        (r#"{"type":["container"]}"#, false),
        (r#"{"event":["create"],"scope":["swarm"]}"#, true),
        (r#"{"scope":["local"]}"#, false),
        (r#"{"service":["we"]}"#, true),
        (r#"{"service":["abcdef"]}"#, true),
        (r#"{"service":["other"]}"#, false),
        (r#"{"node":["h1"]}"#, false),
        (r#"{"label":["name=web"]}"#, true),
        (r#"{"label":["tier"]}"#, false),
        (r#"{"colour":["red"]}"#, true),
    ];
    for (filters, expected) in table {
        let shown = EventFilter::new(filters).lets_through(&message);
        assert_eq!(shown, expected, "{filters}");
    }
}

#[test]
fn the_last_ones_are_kept_for_those_who_come_later() {
    let events = SwarmEvents::default();
    let create = |nanos| {
        let mut service = service();
        service.meta.created_at = at(nanos);
        Event::Service(delta(None, Some(service)))
    };
    let many: Vec<Event> = (0..300).map(create).collect();
    events.tell(&many, &State::default());
    assert!(events.subscribe(None).0.is_empty());
    assert_eq!(events.subscribe(Some(0)).0.len(), KEPT);
    let (kept, _) = events.subscribe(Some(298));
    let times: Vec<i64> = kept.iter().map(|message| message.time_nano).collect();
    assert_eq!(times, [298, 299]);
}
