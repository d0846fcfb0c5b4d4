//! Requests that come whatever becomes of those before them, to clients that try again.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use equipoise::{
    Balance, BalanceLayer, Endpoint, FailoverLayer, Hedge, LeastLoaded, ManualClock, Pool, RetryBudget,
    balance::Failover,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::{Distribution, Exp1};
use tower::{Layer, Service};

use super::{
    rules::{Retries, Ruled},
    servers::{Outage, Queue, Request, Servers},
};

/// What there is, and what befalls it.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) servers: usize,
    pub(super) slots: usize,
    /// How long a slot works on a request, on average: exponential.
    pub(super) mean: Duration,
    /// 1 is all that the servers can do.
    pub(super) load: f64,
    /// Clients that know nothing of each other.
    pub(super) clients: usize,
    /// How long a try may take, in mean service times.
    pub(super) try_timeout: u32,
    pub(super) tries: u32,
    pub(super) hedge: Option<f64>,
    pub(super) queue: Queue,
    pub(super) outage: Outage,
    /// How long requests come after it.
    pub(super) after: Duration,
    pub(super) seed: u64,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            servers: 10,
            slots: 4,
            mean: Duration::from_millis(50),
            load: 0.9,
            clients: 1,
            try_timeout: 15,
            tries: 3,
            hedge: None,
            queue: Queue::Endless,
            outage: Outage {
                begins: Duration::from_secs(15),
                lasts: Duration::from_secs(2),
                servers: 10,
                slowness: u32::MAX,
            },
            after: Duration::from_secs(85),
            seed: 11,
        }
    }
}

/// What became of the requests that came within a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    came: u32,
    good: u32,
    /// Tries that servers have taken in within it, of whatever requests.
    tries: u64,
}

/// What came of it: shares of the requests that were answered well.
#[derive(Clone, Copy, Debug)]
pub(super) struct Played {
    pub(super) before: f64,
    pub(super) during: f64,
    /// In the first 20 s after the outage.
    pub(super) soon: f64,
    /// In the last 20 s.
    pub(super) end: f64,
    /// What servers were sent in the last 20 s, 1 being all that they can do.
    pub(super) asked: f64,
    /// How many seconds after the outage all was well and stayed so; none: not within the last 20 s.
    pub(super) back: Option<usize>,
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for share in [self.before, self.during, self.soon, self.end] {
            write!(f, "{:.0} % | ", share * 100.0)?;
        }
        write!(f, "{:.2} | ", self.asked)?;
        match self.back {
            Some(seconds) => write!(f, "{seconds} s"),
            None => f.write_str("**never**"),
        }
    }
}

type Balanced = Failover<Balance<Servers, Endpoint<usize>, LeastLoaded>, Ruled>;
type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Scene {
    /// Requests a second, of all clients.
    pub(super) fn rate(&self) -> f64 {
        self.load * (self.servers * self.slots) as f64 / self.mean.as_secs_f64()
    }

    fn layer(&self, retries: Retries, clock: &ManualClock) -> FailoverLayer<Ruled> {
        let layer = FailoverLayer::new(Ruled::new(retries, clock))
            .tries(if retries == Retries::None { 1 } else { self.tries })
            .try_timeout(self.mean * self.try_timeout)
            .seed(self.seed);
        let of = |ratio, per_second| RetryBudget::of(ratio, per_second).unwrap();
        let layer = match retries {
            Retries::None | Retries::Default => layer,
            Retries::Budget(ratio, per_second) => layer.budget(of(ratio, per_second)),
            // The policy has its own, or there is none.
            Retries::Unbounded | Retries::OfRequests | Retries::OfSuccesses => layer.budget(of(100.0, 1e6)),
        };
        match self.hedge {
            Some(quantile) if retries != Retries::None => layer.hedge(Hedge::after_quantile(quantile).unwrap()),
            _ => layer,
        }
    }

    pub(super) fn play(&self, retries: Retries) -> Played {
        let seconds = self.seconds(retries);
        let [begin, end] = [self.outage.begins, self.outage.ends()].map(|at| at.as_secs() as usize);
        let share = |seconds: &[Second]| {
            let sum = |of: fn(&Second) -> u32| seconds.iter().map(|second| f64::from(of(second))).sum::<f64>();
            sum(|second| second.good) / sum(|second| second.came)
        };
        let is_bad = |second: &Second| f64::from(second.good) < 0.99 * f64::from(second.came);
        let last = &seconds[seconds.len() - 20..];
        let tries: u64 = last.iter().map(|second| second.tries).sum();
        Played {
            // What came in the second before the outage was not all answered before it.
            before: share(&seconds[1..begin - 1]),
            during: share(&seconds[begin..end]),
            soon: share(&seconds[end..end + 20]),
            end: share(last),
            asked: tries as f64 / 20.0 / (self.rate() / self.load),
            back: (!last.iter().any(is_bad))
                .then(|| (seconds.iter().rposition(is_bad).unwrap_or(0) + 1).saturating_sub(end)),
        }
    }

    fn seconds(&self, retries: Retries) -> Vec<Second> {
        let clock = ManualClock::new();
        let servers = Servers::new(clock.clock(), self.servers, self.slots, self.outage, self.queue);
        let tasks: FuturesUnordered<Task> = FuturesUnordered::new();
        let mut clients = Vec::new();
        for client in 0..self.clients {
            let members = (0..self.servers).map(|server| Endpoint::new(format!("server-{server}"), server));
            let seed = self.seed + client as u64;
            let (pool, driver) = Pool::builder_on(clock.clock()).backends(members).seed(seed).build();
            tasks.push(Box::pin(async {
                driver.await;
            }));
            // Each with a budget of its own.
            let balanced: Balanced = self
                .layer(retries, &clock)
                .layer(BalanceLayer::new(pool).layer(servers.clone()));
            clients.push(balanced);
        }
        let end = self.outage.ends() + self.after;
        let mut stage = Stage {
            begin: clock.now(),
            clock,
            servers,
            tasks,
            woken: Arc::default(),
            seconds: Rc::new(RefCell::new(vec![Second::default(); end.as_secs() as usize])),
        };
        let mut random = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let mut exponential = |mean: f64| -> Duration {
            let drawn: f64 = Exp1.sample(&mut random);
            Duration::from_secs_f64(drawn * mean)
        };
        let mut arrival = Duration::ZERO;
        let clients_in_turn = (0..self.clients).cycle();
        for client in clients_in_turn {
            arrival += exponential(1.0 / self.rate());
            if arrival >= end {
                break;
            }
            stage.go_on_until(arrival);
            let work = exponential(self.mean.as_secs_f64());
            stage.request(&mut clients[client], Request { work });
        }
        // Who came last needs time for all tries.
        stage.go_on_until(end + self.mean * self.try_timeout * self.tries);
        stage.seconds.take()
    }
}

/// All that goes on.
struct Stage {
    clock: ManualClock,
    begin: std::time::Instant,
    servers: Servers,
    tasks: FuturesUnordered<Task>,
    woken: Arc<Woken>,
    seconds: Rc<RefCell<Vec<Second>>>,
}

impl Stage {
    fn now(&self) -> Duration {
        self.clock.now() - self.begin
    }

    fn go_on_until(&mut self, time: Duration) {
        loop {
            self.run();
            let next = self.clock.next_deadline().map(|next| next - self.begin);
            let next = next.filter(|next| *next < time).unwrap_or(time);
            if next <= self.now() {
                return;
            }
            self.clock.advance(next - self.now());
        }
    }

    /// All that can go on by itself does.
    fn run(&mut self) {
        let before = self.servers.taken();
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut cx = Context::from_waker(&waker);
        self.woken.0.store(true, Relaxed);
        while self.woken.0.swap(false, Relaxed) {
            while let Poll::Ready(Some(())) = self.tasks.poll_next_unpin(&mut cx) {}
        }
        self.count(before);
    }

    fn count(&self, before: u64) {
        if let Some(second) = self.seconds.borrow_mut().get_mut(self.now().as_secs() as usize) {
            second.tries += self.servers.taken() - before;
        }
    }

    fn request(&mut self, client: &mut Balanced, request: Request) {
        let waker = Waker::from(Arc::clone(&self.woken));
        let ready = Service::<Request>::poll_ready(client, &mut Context::from_waker(&waker));
        assert!(matches!(ready, Poll::Ready(Ok(()))));
        let before = self.servers.taken();
        let call = Service::<Request>::call(client, request);
        self.count(before);
        let (second, seconds) = (self.now().as_secs() as usize, Rc::clone(&self.seconds));
        seconds.borrow_mut()[second].came += 1;
        self.tasks.push(Box::pin(async move {
            if call.await.is_ok() {
                seconds.borrow_mut()[second].good += 1;
            }
        }));
        self.run();
    }
}
