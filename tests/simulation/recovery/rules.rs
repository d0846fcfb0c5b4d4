//! Who may try again: this crate's rule, and those of others.

use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use equipoise::{
    Error, ManualClock,
    balance::{FailoverPolicy, Judge, Repeatable, Verdict},
};

use super::servers::Request;

/// From what tries beyond the first are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Retries {
    None,
    Unbounded,
    /// The budget that there is unless said otherwise.
    Default,
    /// The same rule: this share, and so many a second.
    Budget(f64, f64),
    /// 20 % of all requests, whatever becomes of them, and 10 a second, within 10 s: what Finagle's `RetryBudget` does.
    OfRequests,
    /// The same of those that succeed; unlike this crate's, tries that were wished for in vain are not counted.
    OfSuccesses,
}

impl Retries {
    /// What it is called in tables.
    pub(super) fn name(self) -> String {
        match self {
            Self::None => "no retries".into(),
            Self::Unbounded => "no budget".into(),
            Self::Default => "the default budget".into(),
            Self::Budget(ratio, per_second) => format!("`RetryBudget::of({ratio:?}, {per_second:?})`"),
            Self::OfRequests => "20 % of requests".into(),
            Self::OfSuccesses => "20 % of successes".into(),
        }
    }
}

/// Every request may be sent again, as far as another budget allows it.
#[derive(Clone)]
pub(super) struct Ruled {
    account: Option<Rc<Account>>,
}

struct Account {
    clock: ManualClock,
    is_of_successes: bool,
    deposits: RefCell<Recent>,
    tries: RefCell<Recent>,
}

/// When something was, within the last 10 s.
#[derive(Default)]
struct Recent(VecDeque<Instant>);

impl Recent {
    fn number(&mut self, now: Instant) -> usize {
        while self.0.front().is_some_and(|at| *at + WINDOW <= now) {
            self.0.pop_front();
        }
        self.0.len()
    }
}

const WINDOW: Duration = Duration::from_secs(10);

impl Ruled {
    pub(super) fn new(retries: Retries, clock: &ManualClock) -> Self {
        let account = |is_of_successes| {
            Some(Rc::new(Account {
                clock: clock.clone(),
                is_of_successes,
                deposits: RefCell::default(),
                tries: RefCell::default(),
            }))
        };
        let account = match retries {
            Retries::OfRequests => account(false),
            Retries::OfSuccesses => account(true),
            _ => None,
        };
        Self { account }
    }

    fn note(&self, is_success: bool) {
        if let Some(account) = &self.account {
            if account.is_of_successes == is_success {
                account.deposits.borrow_mut().0.push_back(account.clock.now());
            }
        }
    }

    fn withdraw(&self) -> bool {
        let Some(account) = &self.account else {
            return true;
        };
        let (now, mut tries) = (account.clock.now(), account.tries.borrow_mut());
        let most = account.deposits.borrow_mut().number(now) as f64 * 0.2 + 10.0 * WINDOW.as_secs_f64();
        let is_left = (tries.number(now) + 1) as f64 <= most;
        if is_left {
            tries.0.push_back(now);
        }
        is_left
    }
}

impl FailoverPolicy<Request> for Ruled {
    type Sent = Request;
    type Kept = Request;

    fn keep(&self, request: Request) -> (Request, Option<Request>) {
        self.note(false);
        (request, Some(request))
    }

    fn again(&self, kept: &Request, _: u32) -> Option<Request> {
        self.withdraw().then_some(*kept)
    }

    fn may_hedge(&self, _: &Request) -> bool {
        true
    }
}

impl Judge<Request, ()> for Ruled {
    fn judge(&self, kept: &Request, result: Result<&(), &Error>) -> Verdict {
        if result.is_ok() {
            self.note(true);
        }
        Repeatable.judge(kept, result)
    }
}
