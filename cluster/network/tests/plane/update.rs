//! Updates: at one moment for those who connect, and at a cost that does not grow with the swarm.

use crate::rig::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use swarmrs_network::plane::Plane;
use swarmrs_types::endpoint::{Endpoint, Fact};

/// Service n of a network with 16 bits of addresses, and its virtual address.
fn many(number: usize) -> (Fact, Vec<Fact>) {
    let address = |high: usize| format!("10.1{high}.{}.{}", number / 250, number % 250 + 2);
    let mut service = balanced(1, number, &address(0), &[]);
    service.name = format!("web{number}");
    let tasks = (1..=3).map(|task| {
        Fact::Endpoint(Endpoint {
            addresses: vec![format!("{}/12", address(task)).parse().unwrap()],
            ..endpoint(1, number * 10 + task, number, 11)
        })
    });
    (Fact::Service(service), tasks.collect())
}

/// Times of updates that take a task of one service out and in again.
async fn updates(plane: &Plane, service: usize, rounds: usize) -> Vec<Duration> {
    let (_, tasks) = many(service);
    let Fact::Endpoint(task) = &tasks[0] else {
        return vec![];
    };
    let mut times = Vec::new();
    for round in 0..rounds {
        let task = Endpoint {
            ready: round % 2 == 1,
            ..task.clone()
        };
        let diff = put([Fact::Endpoint(task)]);
        let began = Instant::now();
        plane.tell(&diff, false).await.unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    times
}

#[test]
fn an_update_of_one_service_costs_no_more_among_many() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let mut network = overlay(1);
        network.segments[0].subnet = "10.96.0.0/11".parse().unwrap();
        network.segments[0].gateway = "10.96.0.1".parse().unwrap();
        plane
            .tell(&put([peer(), Fact::Network(network)]), true)
            .await
            .unwrap();
        let mut known = 0;
        let mut medians = Vec::new();
        for size in [10, 100, 1000, 3000] {
            let began = Instant::now();
            let more: Vec<_> = (known..size).map(many).collect();
            known = size;
            let facts = more
                .into_iter()
                .flat_map(|(service, tasks)| tasks.into_iter().chain([service]));
            plane.tell(&put(facts), false).await.unwrap();
            let filled = began.elapsed();
            let times = updates(&plane, 5, 200).await;
            let (median, high) = (times[times.len() / 2], times[times.len() * 99 / 100]);
            println!("{size} services: update p50 {median:?} p99 {high:?}; filled in {filled:?}");
            medians.push(median);
        }
        // Twice would be noise; growth with the number of services would be a hundred times.
        assert!(
            medians[3] < medians[0] * 8 + Duration::from_millis(5),
            "{medians:?}"
        );
        plane.clear().await.unwrap();
    });
}

#[test]
fn updates_under_load_fail_no_connection() {
    on_a_host(|host| async move {
        let plane = host.plane().await;
        let facts = [
            peer(),
            Fact::Network(overlay(1)),
            Fact::Service(balanced(1, 1, "10.0.1.2", &[])),
            Fact::Endpoint(endpoint(1, 1, 1, 11)),
            Fact::Endpoint(endpoint(1, 2, 1, 12)),
            Fact::Endpoint(endpoint(1, 50, 0, 50)),
        ];
        plane.tell(&put(facts), true).await.unwrap();
        let one = container(&plane, network(1), "10.0.1.11/24").await;
        let two = container(&plane, network(1), "10.0.1.12/24").await;
        one.serve(80);
        two.serve(80);
        let client = container(&plane, network(1), "10.0.1.50/24").await;
        let ended = Arc::new(AtomicBool::new(false));
        let asking = {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                client.space.within(|| {
                    let mut answers = 0;
                    while !ended.load(Ordering::Relaxed) {
                        tcp("10.0.1.2:80").unwrap();
                        answers += 1;
                    }
                    answers
                })
            })
        };
        for round in 0..100 {
            let task = Endpoint {
                ready: round % 2 == 1,
                ..endpoint(1, 1, 1, 11)
            };
            plane
                .tell(&put([Fact::Endpoint(task)]), false)
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ended.store(true, Ordering::Relaxed);
        let answers = asking.join().unwrap();
        assert!(answers > 100, "only {answers} connections");
        plane.clear().await.unwrap();
    });
}
