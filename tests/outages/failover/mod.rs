//! Failover: what is left of a fault for whoever asks.
//!
//! Requests are numbered, and counted by who sends them, below the layers, and by the backends. However one of three
//! backends fails, or two, each GET is answered by another; a POST comes to no more than one backend.

mod caller;
mod drill;
mod fault;

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use equipoise::{ErrorKind, RoundRobin};

use self::{
    caller::{Answer, End, RATE, TRY},
    drill::{Drill, Report},
    fault::Fault,
};
use crate::check::PERIOD;

/// Holds a drill, looks at what has to hold in all of them, and prints what it came to.
async fn drill(fault: Fault) -> Report {
    // Each loads the machine as far as it may.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ALONE.lock().await;
    let drill = Drill {
        before: Duration::from_secs(1),
        during: Duration::from_secs(3),
        after: Duration::from_secs(1),
    };
    let seconds = (drill.before + drill.during + drill.after).as_secs_f64();
    let mut held = Vec::new();
    // If others needed the machine it was no drill, whatever came of it.
    while held.len() < 5 {
        // In turns: a strategy that goes by load would spare some of the bad by itself.
        let report = drill.hold(fault, RoundRobin::new()).await;
        let rate = report.answers.iter().filter(|answer| !answer.is_post()).count() as f64 / seconds;
        let late = report
            .answers
            .iter()
            .map(|answer| answer.sent - answer.due)
            .max()
            .unwrap();
        let pace = format!("{rate:.0} a second, {} ms late", late.as_millis());
        println!("{fault:?}, {pace}: {}", report.told());
        if rate > 0.95 * f64::from(RATE) && late < TRY / 2 {
            report.is_accounted_for();
            report.keeps_posts_at_one_backend();
            report.stays_within_the_budget();
            return report;
        }
        held.push(pace);
    }
    panic!("the machine did not bear it: {held:?}");
}

impl Report {
    fn told(&self) -> String {
        let failed = |is_post| {
            let failed = self.answers.iter().filter(|answer| answer.is_post() == is_post);
            failed.filter(|answer| !answer.is_well()).count()
        };
        let refused = self.attempts.iter().filter(|attempt| attempt.was_refused).count();
        format!(
            "{} requests in {} tries, {refused} of them refused, {} heard; {} GETs and {} POSTs failed",
            self.answers.len(),
            self.attempts.len(),
            self.heard.values().sum::<u64>(),
            failed(false),
            failed(true),
        )
    }

    /// The ports of the backends that each number was tried at, in order; of all tries, or of those that may have been sent.
    fn tries(&self, with_refused: bool) -> BTreeMap<u64, Vec<u16>> {
        let mut tries = BTreeMap::<_, Vec<_>>::new();
        let attempts = self.attempts.iter();
        for attempt in attempts.filter(|attempt| with_refused || !attempt.was_refused) {
            tries.entry(attempt.number).or_default().push(attempt.port);
        }
        tries
    }

    /// Each number was answered once, with its own answer, and backends got what was sent to them.
    fn is_accounted_for(&self) {
        let numbers: HashSet<_> = self.answers.iter().map(|answer| answer.number).collect();
        assert_eq!(numbers.len(), self.answers.len());
        assert!((0..numbers.len() as u64).all(|number| numbers.contains(&number)));
        let wrong = self.answers.iter().find(|answer| matches!(answer.end, End::Wrong));
        assert!(wrong.is_none(), "{wrong:?}");
        let sent = self.tries(false);
        for (&(number, port), &times) in &self.heard {
            let sent = sent.get(&number).into_iter().flatten().filter(|to| **to == port);
            assert!(times <= sent.count() as u64, "{number} came {times} times to {port}");
        }
        for answer in self.answers.iter().filter(|answer| answer.is_well()) {
            let is_heard = self
                .ports
                .iter()
                .any(|port| self.heard.contains_key(&(answer.number, *port)));
            assert!(is_heard, "{answer:?}, and nobody got it");
        }
    }

    /// And those that fail do so where they were sent.
    fn keeps_posts_at_one_backend(&self) {
        let sent = self.tries(false);
        for answer in self.answers.iter().filter(|answer| answer.is_post()) {
            let heard = self
                .ports
                .iter()
                .filter_map(|port| self.heard.get(&(answer.number, *port)));
            assert!(heard.sum::<u64>() <= 1, "{answer:?}");
            let sent = sent.get(&answer.number).map_or(&[][..], Vec::as_slice);
            assert!(sent.len() <= 1, "{answer:?} at {sent:?}");
        }
    }

    /// 20 % of what is answered well, and 10 a second over 10 s.
    fn stays_within_the_budget(&self) {
        let well = self.answers.iter().filter(|answer| answer.is_well()).count();
        let most = well as f64 * 0.2 + 100.0;
        let sent = self.tries(false);
        let again: usize = sent.values().map(|ports| ports.len() - 1).sum();
        assert!(again as f64 <= most, "{again} of {most}");
        let heard = self.heard.values().sum::<u64>() as f64;
        let numbers: HashSet<_> = self.heard.keys().map(|(number, _)| number).collect();
        assert!(heard - numbers.len() as f64 <= most, "{heard} of {}", numbers.len());
    }

    /// Those that failed, GETs or POSTs.
    fn failed(&self, is_post: bool) -> impl Iterator<Item = &Answer> {
        let answers = self.answers.iter();
        answers.filter(move |answer| answer.is_post() == is_post && !answer.is_well())
    }

    /// Nobody who sent a GET has noticed anything; whose POST failed has sent it to one that was hit.
    fn is_noticed_by_no_get(&self, fault: Fault) {
        let failed = self.failed(false).next();
        assert!(failed.is_none(), "{failed:?}");
        self.fails_posts_at(&self.ports[..fault.hits()]);
        // There was something to notice.
        let tries = self.tries(true);
        let again = tries.values().filter(|ports| ports.len() > 1).count();
        assert!(again >= 5, "{again}");
        for (number, ports) in &tries {
            let different: HashSet<_> = ports.iter().collect();
            assert_eq!(
                different.len(),
                ports.len(),
                "{number} was tried twice at one: {ports:?}"
            );
        }
    }

    fn fails_posts_at(&self, ports: &[u16]) {
        let sent = self.tries(false);
        for answer in self.failed(true) {
            let sent = sent.get(&answer.number);
            let is_there = sent.is_some_and(|sent| sent.iter().all(|port| ports.contains(port)));
            assert!(is_there, "{answer:?} at {sent:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_is_killed() {
    let report = drill(Fault::Killed).await;
    report.is_noticed_by_no_get(Fault::Killed);
    // Afterwards they are refused, and go elsewhere.
    let late = report
        .failed(true)
        .find(|answer| answer.due > report.spell.began + PERIOD);
    assert!(late.is_none(), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_is_stopped() {
    drill(Fault::Stopped).await.is_noticed_by_no_get(Fault::Stopped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_resets_connections() {
    drill(Fault::Reset).await.is_noticed_by_no_get(Fault::Reset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_off_after_its_head_is_all_that_fails() {
    let report = drill(Fault::BrokenOff).await;
    let sent = report.tries(false);
    let mut broken = 0;
    for answer in report.answers.iter().filter(|answer| !answer.is_well()) {
        assert!(matches!(answer.end, End::BrokenOff), "{answer:?}");
        assert_eq!(sent[&answer.number].last(), Some(&report.ports[0]), "{answer:?}");
        broken += 1;
    }
    assert!(broken >= 5, "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_fails() {
    drill(Fault::Failing).await.is_noticed_by_no_get(Fault::Failing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_is_a_hundred_times_slower() {
    drill(Fault::Slow).await.is_noticed_by_no_get(Fault::Slow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_who_flaps() {
    drill(Fault::Flapping).await.is_noticed_by_no_get(Fault::Flapping);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_two_of_three_are_killed() {
    drill(Fault::TwoKilled).await.is_noticed_by_no_get(Fault::TwoKilled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_while_all_are_dead_is_told_so_and_nobody_else() {
    let report = drill(Fault::AllKilled).await;
    let sent = report.tries(false);
    let (mut failed, spell) = (0, report.spell);
    for answer in report.answers.iter().filter(|answer| !answer.is_well()) {
        // A POST that was under way is lost with whom it was sent to.
        let is_lost = answer.is_post() && sent.contains_key(&answer.number);
        let End::Failed(error) = &answer.end else {
            panic!("{answer:?}");
        };
        assert!(
            matches!(error.kind(), ErrorKind::Backend | ErrorKind::Unavailable),
            "{answer:?}"
        );
        assert!(
            answer.ended >= if is_lost { spell.began } else { spell.hit },
            "{answer:?}, {spell:?}"
        );
        assert!(answer.due <= spell.back + PERIOD, "{answer:?}, {spell:?}");
        failed += 1;
    }
    assert!(failed > 5_000, "{failed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_fail_they_are_asked_for_little_more() {
    let report = drill(Fault::AllFailing).await;
    let (mut failed, spell) = (0, report.spell);
    for answer in report.answers.iter().filter(|answer| !answer.is_well()) {
        assert!(matches!(answer.end, End::Status(500)), "{answer:?}");
        assert!(
            answer.ended >= spell.began && answer.due <= spell.back + PERIOD,
            "{answer:?}, {spell:?}"
        );
        failed += 1;
    }
    assert!(failed > 5_000, "{failed}");
}
