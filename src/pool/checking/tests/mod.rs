//! A checker whose clock is moved by hand, and backends that answer as told.

mod faults;
mod schedule;

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Wake, Waker},
};

use futures_channel::oneshot;
use parking_lot::Mutex;

use super::*;
use crate::{
    clock::{ManualClock, Stamp},
    error::BoxError,
    health::{HealthProbe, Initial},
    limit::Limit,
    load::LoadReport,
    member::{Account, Counts, Overseer},
    outcome::Outcome,
};

const SECOND: Duration = Duration::from_secs(1);

/// How a backend answers.
enum Play {
    Pass,
    Fail(&'static str),
    Hang,
    /// The call of `probe` panics.
    PanicInCall,
    /// The first poll does.
    PanicInPoll,
    /// It would pass, but the drop of what it holds panics.
    PanicInDrop,
    /// It hangs, and its drop panics.
    HangAndPanicInDrop,
    /// As somebody says.
    Wait(oneshot::Receiver<Result<Report, BoxError>>),
    /// With any error.
    Error(BoxError),
}

struct Scripted {
    id: &'static str,
    play: Mutex<Play>,
}

impl Backend for Scripted {
    fn id(&self) -> &str {
        self.id
    }
}

/// What was asked, and what is under way.
#[derive(Default)]
struct Log {
    asked: Mutex<Vec<(Instant, &'static str)>>,
    under_way: Mutex<HashMap<&'static str, usize>>,
    /// The most that were under way at once, of one backend and of all.
    most: AtomicUsize,
    most_of_all: AtomicUsize,
}

struct Probe {
    clock: ManualClock,
    log: Arc<Log>,
}

/// Under way until it is dropped.
struct UnderWay {
    id: &'static str,
    log: Arc<Log>,
    panics: bool,
}

impl UnderWay {
    fn new(id: &'static str, log: &Arc<Log>, panics: bool) -> Self {
        let mut under_way = log.under_way.lock();
        let count = under_way.entry(id).or_default();
        *count += 1;
        log.most.fetch_max(*count, Relaxed);
        log.most_of_all.fetch_max(under_way.values().sum(), Relaxed);
        drop(under_way);
        let log = Arc::clone(log);
        Self { id, log, panics }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.log.under_way.lock().entry(self.id).or_default() -= 1;
        assert!(!self.panics, "in its drop");
    }
}

impl HealthProbe<Scripted> for Probe {
    type Error = BoxError;

    fn probe(&self, backend: &Scripted) -> impl Future<Output = Result<Report, BoxError>> + Send {
        self.log.asked.lock().push((self.clock.now(), backend.id));
        let mut play = backend.play.lock();
        let panics = matches!(*play, Play::PanicInDrop | Play::HangAndPanicInDrop);
        let under_way = UnderWay::new(backend.id, &self.log, panics);
        enum Way {
            Now(Result<Report, BoxError>),
            Never,
            Panic,
            Wait(oneshot::Receiver<Result<Report, BoxError>>),
        }
        let way = match &mut *play {
            Play::Pass | Play::PanicInDrop => Way::Now(Ok(Report::new())),
            Play::Fail(why) => Way::Now(Err((*why).into())),
            Play::Hang | Play::HangAndPanicInDrop => Way::Never,
            Play::PanicInCall => panic!("in the call"),
            Play::PanicInPoll => Way::Panic,
            once => match std::mem::replace(once, Play::Pass) {
                Play::Wait(answer) => Way::Wait(answer),
                Play::Error(error) => Way::Now(Err(error)),
                _ => Way::Never,
            },
        };
        async move {
            let _under_way = under_way;
            match way {
                Way::Now(answer) => answer,
                Way::Never => std::future::pending().await,
                Way::Panic => panic!("in the\npoll"),
                Way::Wait(answer) => answer.await?,
            }
        }
    }
}

/// What members report to.
struct Nobody;

impl Overseer<()> for Nobody {
    fn observe(&self, (): &(), _: Option<(&Limit, usize)>, _: Outcome, _: Stamp) {}
    fn failed(&self, _: &Live<dyn Account>, _: Outcome) {}
    fn recovered(&self, _: &Live<dyn Account>) {}
    fn report(&self, (): &(), _: &LoadReport) {}
    fn released(&self) {}
    fn pool(&self) -> Option<&str> {
        None
    }
}

struct Joined {
    live: Arc<Live<Remembered<Scripted, ()>>>,
    backend: Arc<Scripted>,
}

/// Whether the driver was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

struct Rig {
    clock: ManualClock,
    start: Instant,
    log: Arc<Log>,
    checking: Checking<Scripted, ()>,
    bell: Arc<Bell>,
    turns: usize,
}

/// An answer, as tests compare it: when since the start, whose, the new verdict, and why.
#[derive(Debug, Clone, PartialEq)]
struct Heard {
    at: Duration,
    id: String,
    passed: bool,
    changed: Option<Health>,
    reason: Arc<str>,
}

impl Rig {
    fn new(set: impl FnOnce(HealthCheck<Scripted>) -> HealthCheck<Scripted>) -> Self {
        let clock = ManualClock::new();
        let log = Arc::new(Log::default());
        let probe = Probe {
            clock: clock.clone(),
            log: Arc::clone(&log),
        };
        let checking = Checking::new(set(HealthCheck::new(probe)), Generator::new(1), &clock.clock());
        Self {
            start: clock.now(),
            clock,
            log,
            checking,
            bell: Arc::default(),
            turns: 0,
        }
    }

    fn join(&mut self, id: &'static str, play: Play) -> Joined {
        let live = Live {
            counts: Counts::default(),
            id: id.into(),
            member: MemberId::fresh(),
            account: Remembered {
                memory: (),
                overseer: Arc::new(Nobody) as _,
                limit: None,
                backend: Mutex::default(),
                rejected_reports: AtomicU64::new(0),
            },
        };
        let play = Mutex::new(play);
        let joined = Joined {
            live: Arc::new(live),
            backend: Arc::new(Scripted { id, play }),
        };
        self.checking.watch(&joined.live, &joined.backend);
        joined
    }

    /// Its verdict, which stays.
    fn replace(&mut self, joined: &mut Joined, play: Play) -> Health {
        let (id, play) = (joined.backend.id, Mutex::new(play));
        joined.backend = Arc::new(Scripted { id, play });
        self.checking.watch(&joined.live, &joined.backend)
    }

    fn health(&self, joined: &Joined) -> Health {
        self.checking.watched[&joined.live.member].verdict.health()
    }

    fn turn(&mut self) -> Vec<Heard> {
        self.turns += 1;
        self.bell.0.store(false, Relaxed);
        let waker = Waker::from(Arc::clone(&self.bell));
        let now = self.clock.now();
        let checked = self.checking.turn(now, &mut Context::from_waker(&waker));
        // Or else the driver would spin.
        assert!(self.checking.next().is_none_or(|next| next > now));
        let heard = checked.into_iter().map(|checked| Heard {
            at: now - self.start,
            id: checked.live.id.to_string(),
            passed: checked.report.is_some(),
            changed: checked.changed,
            reason: checked.reason,
        });
        heard.collect()
    }

    /// As the driver: a turn whenever one is wanted, or somebody has woken it, for so long.
    fn run(&mut self, time: Duration) -> Vec<Heard> {
        let end = self.clock.now() + time;
        let mut heard = self.turn();
        loop {
            if self.bell.0.load(Relaxed) {
                heard.extend(self.turn());
                continue;
            }
            let now = self.clock.now();
            let next = self.checking.next().filter(|next| *next <= end);
            self.clock.advance(next.unwrap_or(end) - now);
            if next.is_none() {
                return heard;
            }
            heard.extend(self.turn());
        }
    }

    /// When each was asked, since the start.
    fn asked(&self, id: &str) -> Vec<Duration> {
        let asked = self.log.asked.lock();
        let times = asked.iter().filter(|(_, who)| *who == id);
        times.map(|(at, _)| *at - self.start).collect()
    }

    fn under_way(&self) -> usize {
        self.log.under_way.lock().values().sum()
    }
}

/// The times between each two.
fn gaps(times: &[Duration]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Whether these are intervals, give or take a tenth and the step of the timer.
fn are_about(interval: Duration, gaps: &[Duration]) -> bool {
    let range = interval * 9 / 10..=interval * 11 / 10 + STEP;
    !gaps.is_empty() && gaps.iter().all(|gap| range.contains(gap))
}

/// An id for each number.
fn name(number: usize) -> &'static str {
    static NAMES: StdMutex<Vec<&'static str>> = StdMutex::new(Vec::new());
    let mut names = NAMES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    while names.len() <= number {
        let name = names.len().to_string().leak();
        names.push(name);
    }
    names[number]
}
