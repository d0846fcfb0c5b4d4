//! A brief outage ends with its cause: what is tried again does not keep a fleet from coming back.
//!
//! Bronson et al., "Metastable failures in distributed systems", HotOS 2021, and Huang et al., "Metastable failures in the
//! wild", OSDI 2022: a trigger brings a fleet into an overload, and the retries of requests that time out keep it there after
//! the trigger is gone, as servers are busy with what nobody waits for any more.

mod rules;
mod scene;
mod servers;
mod table;

use std::time::Duration;

use self::{
    rules::Retries,
    scene::{Played, Scene},
    servers::{Outage, Queue},
};
use super::SEEDS;

fn play(what: &str, scene: &Scene, retries: Retries) -> Played {
    let played = scene.play(retries);
    println!("{what}: {retries:?}: {played}");
    assert!(played.before > 0.99, "{what}: overloaded before anything has happened");
    played
}

fn comes_back(what: &str, scene: &Scene) {
    let played = play(what, scene, Retries::Default);
    assert!(played.during < 0.8, "{what}: that was no outage");
    assert!(played.back.is_some() && played.end > 0.99, "{what}");
}

#[test]
fn a_fleet_at_nine_tenths_of_its_load_comes_back_with_the_default_budget() {
    for seed in SEEDS {
        let scene = Scene {
            seed,
            ..Scene::default()
        };
        comes_back("a brief outage", &scene);
        let played = play("a brief outage", &scene, Retries::None);
        assert!(played.back.is_some(), "it would not come back in any case");
    }
}

#[test]
fn without_a_budget_it_does_not() {
    let after = Duration::from_secs(40);
    let scene = Scene {
        after,
        ..Scene::default()
    };
    let played = play("a brief outage", &scene, Retries::Unbounded);
    assert!(played.back.is_none() && played.end < 0.01);
    // It is asked for three times as much as clients want.
    assert!(played.asked > 2.5, "{}", played.asked);
}

/// What the budget is unlike others for.
#[test]
fn with_a_share_of_requests_or_of_successes_it_does_not() {
    let played = play("a brief outage", &Scene::default(), Retries::OfRequests);
    assert!(played.back.is_none() && played.end < 0.01);
    // Each success pays for a fifth of a retry: about as many succeed as make the load 1.
    let played = play("a brief outage", &Scene::default(), Retries::OfSuccesses);
    assert!(
        played.back.is_none() && (0.2..0.7).contains(&played.end),
        "{}",
        played.end
    );
}

#[test]
fn it_comes_back_whatever_the_load_the_outage_and_the_tries_are() {
    let scene = Scene::default;
    let outage = |seconds, servers, slowness| Outage {
        lasts: Duration::from_secs(seconds),
        servers,
        slowness,
        ..scene().outage
    };
    for load in [0.8, 0.95] {
        comes_back("load", &Scene { load, ..scene() });
    }
    comes_back("tries", &Scene { tries: 5, ..scene() });
    for outage in [outage(5, 10, u32::MAX), outage(2, 5, u32::MAX), outage(2, 10, 10)] {
        comes_back("outage", &Scene { outage, ..scene() });
    }
    // So many wait for longer than a try may take.
    let queue = Queue::Fails(200);
    comes_back("queue", &Scene { queue, ..scene() });
    comes_back("clients", &Scene { clients: 5, ..scene() });
}

#[test]
fn who_queues_less_than_anybody_waits_for_comes_back_at_once() {
    for queue in [Queue::Refuses(20), Queue::Fails(20)] {
        let after = Duration::from_secs(25);
        let scene = Scene {
            queue,
            after,
            ..Scene::default()
        };
        for retries in [Retries::Default, Retries::OfRequests] {
            let played = play("a short queue", &scene, retries);
            assert!(
                played.back.is_some_and(|back| back <= 2),
                "{retries:?}: {:?}",
                played.back
            );
        }
    }
}

/// Each of a hundred clients sends less than the floor of 10 a second.
#[test]
fn the_floors_of_many_small_clients_are_a_load_together() {
    let scene = Scene {
        clients: 100,
        ..Scene::default()
    };
    assert!(play("floors", &scene, Retries::Default).back.is_none());
    let after = Duration::from_secs(150);
    let scene = Scene { after, ..scene };
    assert!(play("floors", &scene, Retries::Budget(0.2, 0.1)).back.is_some());
}

/// Hedges are a load as well: without a bound of their own they would overload this fleet before anything has happened; with
/// little to spare the budget has to be as small as what is left.
#[test]
fn it_comes_back_with_hedging_where_there_is_room_for_that() {
    for (load, retries) in [(0.85, Retries::Default), (0.9, Retries::Budget(0.05, 0.0))] {
        let hedge = Some(0.95);
        let scene = Scene {
            load,
            hedge,
            ..Scene::default()
        };
        let played = play("hedging", &scene, retries);
        assert!(played.end > 0.99 && played.back.is_some());
    }
}
