//! This node: its API, its engine, its sessions.

use swarmrs_node::Node;

use super::page::{Kind, Page};
use crate::server::Traffic;

pub(super) fn write(page: &mut Page, node: &Node, traffic: &Traffic) {
    api(page, traffic);
    engine(page, node);
    let measures = node.measures();
    let (opened, closed) = (
        measures.sessions_opened.get(),
        measures.sessions_closed.get(),
    );
    let help = "Sessions of nodes that this manager has opened.";
    let mut family = page.family("swarmrs_dispatcher_sessions_total", Kind::Counter, help);
    family.sample(&[], opened);
    let help = "Sessions of nodes that are open now.";
    let mut family = page.family("swarmrs_dispatcher_sessions", Kind::Gauge, help);
    family.sample(&[], opened.saturating_sub(closed));
    let help = "Plans of the leader's loop, by what came of them.";
    let plans = [
        ("committed", measures.plans_committed.get()),
        ("rejected", measures.plans_rejected.get()),
        ("failed", measures.plans_failed.get()),
    ];
    let mut family = page.family("swarmrs_leader_plans_total", Kind::Counter, help);
    family.each("outcome", plans.into_iter());
}

fn api(page: &mut Page, traffic: &Traffic) {
    let help = "Answered requests, by who answers and HTTP status.";
    let mut family = page.family("swarmrs_api_requests_total", Kind::Counter, help);
    for (class, status, count) in traffic.answers() {
        family.sample(&[("class", class), ("code", &status.to_string())], count);
    }
    let gauges = [
        (
            "swarmrs_api_connections",
            "Clients connected.",
            &traffic.connections,
        ),
        (
            "swarmrs_api_requests_in_flight",
            "Requests not answered to the end, streams of events and logs among them.",
            &traffic.requests,
        ),
        (
            "swarmrs_api_hijacked_connections",
            "Connections that carry raw bytes: attach, exec, build sessions.",
            &traffic.hijacked,
        ),
    ];
    for (name, help, gauge) in gauges {
        page.family(name, Kind::Gauge, help)
            .sample(&[], gauge.get());
    }
}

fn engine(page: &mut Page, node: &Node) {
    let engine = node.engine();
    let here = *engine.presence().borrow() == swarmrs_engine::Presence::Here;
    let help = "Whether the engine answered the last call.";
    let mut family = page.family("swarmrs_engine_up", Kind::Gauge, help);
    family.sample(&[], u8::from(here));
    let help = "How long swarmrsd's own calls to the engine took.";
    let mut family = page.family("swarmrs_engine_call_seconds", Kind::Histogram, help);
    for (call, histogram) in engine.measures().calls() {
        family.histogram(&[("call", call)], histogram);
    }
    let help = "Calls to the engine that failed, by why.";
    let mut family = page.family("swarmrs_engine_failures_total", Kind::Counter, help);
    family.each("reason", engine.measures().failures());
}
