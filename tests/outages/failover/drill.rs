//! A fault among three backends, with requests before, in and after it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use equipoise::{Selector, http::HttpEndpoint};
use tokio::time::sleep;

use super::{
    caller::{Answer, Attempt, Caller},
    fault::{Fault, Spell},
};
use crate::backend::Backend;

/// How long each part of it lasts.
#[derive(Clone, Copy)]
pub(crate) struct Drill {
    pub(crate) before: Duration,
    pub(crate) during: Duration,
    pub(crate) after: Duration,
}

pub(crate) struct Report {
    pub(crate) spell: Spell,
    /// Those that are hit come first.
    pub(crate) ports: [u16; 3],
    pub(crate) answers: Vec<Answer>,
    /// In the order in which they were made.
    pub(crate) attempts: Vec<Attempt>,
    /// How often each number came to each backend, by their own word.
    pub(crate) heard: HashMap<(u64, u16), u64>,
}

impl Drill {
    pub(crate) async fn hold(self, fault: Fault, selector: impl Selector<HttpEndpoint>) -> Report {
        let mut backends = ["a", "b", "c"].map(Backend::start);
        let caller = Caller::new(&backends, selector);
        let is_over = Arc::new(AtomicBool::new(false));
        let answers = tokio::spawn(caller.clone().send(Arc::clone(&is_over)));
        sleep(self.before).await;
        let spell = fault.befall(&mut backends, self.during).await;
        sleep(self.after).await;
        is_over.store(true, Relaxed);
        let answers = tokio::time::timeout(Duration::from_secs(30), answers).await;
        let answers = answers.expect("each request ends").unwrap();
        let ports = backends.each_ref().map(|backend| backend.port);
        let mut heard = HashMap::new();
        for backend in backends {
            let port = backend.port;
            for number in backend.heard() {
                *heard.entry((number, port)).or_default() += 1;
            }
        }
        Report {
            spell,
            ports,
            answers,
            attempts: caller.attempts(),
            heard,
        }
    }
}
