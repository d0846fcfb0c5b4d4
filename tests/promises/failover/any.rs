//! Whatever backends do, and however it is set: what holds of every request.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    task::Wake,
    time::Instant,
};

use equipoise::{Admission, Hedge, Lease, RetryBudget};
use proptest::{collection::vec, option, prelude::*};

use super::*;

/// What a backend does with a request, and after how many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Answer,
    Refuse,
    Fail,
    /// And says when it will be back.
    Away(u16),
    /// And says when to come again, whoever it is.
    Later(u16),
    /// What is not to be sent again.
    Final,
    Nothing,
}

#[derive(Clone, Debug)]
struct Case {
    /// Of each member, by how often it was called; from the beginning again after the last.
    acts: Vec<Vec<(u16, Does)>>,
    may_repeat: bool,
    tries: u32,
    try_timeout: Option<u16>,
    deadline: Option<u16>,
    hedge: Option<u16>,
    backoff: u16,
    /// Tries in the budget.
    budget: u16,
    /// Each member takes one at a time, so many may wait for so long, and others have members until then.
    limit: Option<(usize, u16, Vec<u16>)>,
    /// Who is drained, and when.
    drains: Option<(usize, u16)>,
}

fn any_act() -> impl Strategy<Value = (u16, Does)> {
    let time = prop_oneof![2 => Just(0), 3 => 1..60_u16];
    let wait = || prop_oneof![0..80_u16, Just(40)];
    let does = prop_oneof![
        3 => Just(Does::Answer),
        4 => Just(Does::Refuse),
        6 => Just(Does::Fail),
        2 => wait().prop_map(Does::Away),
        1 => wait().prop_map(Does::Later),
        1 => Just(Does::Final),
        2 => Just(Does::Nothing),
    ];
    (time, does)
}

fn any_case() -> impl Strategy<Value = Case> {
    let times = || option::weighted(0.4, prop_oneof![1 => Just(0), 9 => 1..80_u16]);
    let limit = (0..3_usize, 1..100_u16, vec(0..120_u16, 0..4));
    let asked = (any::<bool>(), 0..6_u32, times(), times(), times());
    let rest = (
        0..50_u16,
        0..8_u16,
        option::weighted(0.4, limit),
        option::weighted(0.2, (0..4_usize, 0..100_u16)),
    );
    (vec(vec(any_act(), 1..4), 1..5), asked, rest).prop_map(|(acts, asked, (backoff, budget, limit, drains))| {
        let (may_repeat, tries, try_timeout, deadline, hedge) = asked;
        Case {
            acts,
            may_repeat,
            tries,
            try_timeout,
            deadline,
            hedge,
            backoff,
            budget,
            limit,
            drains,
        }
    })
}

/// What was done with a request that came to a backend.
#[derive(Clone, Copy, Debug)]
struct Called {
    member: usize,
    attempt: u32,
    at: Instant,
    /// When that came to an end, if by the backend's doing.
    ended: Option<Instant>,
    does: Does,
}

#[derive(Debug)]
struct Said(Does);

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Said {}

#[derive(Clone)]
struct Played {
    clock: ManualClock,
    case: Arc<Case>,
    called: Arc<Mutex<Vec<Called>>>,
}

const IDS: [&str; 4] = ["a", "b", "c", "d"];

fn ms(time: u16) -> Duration {
    u32::from(time) * MS
}

impl Service<Assigned<u32, Plain>> for Played {
    type Response = &'static str;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<&'static str, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Assigned<u32, Plain>) -> Self::Future {
        let id = equipoise::Backend::id(&*call.backend);
        let member = IDS.iter().position(|other| *other == id).unwrap();
        let mut called = self.called.lock().unwrap();
        let times = called.iter().filter(|other| other.member == member).count();
        let acts = &self.case.acts[member];
        let (time, mut does) = acts[times % acts.len()];
        if does == Does::Nothing && self.case.try_timeout.is_none() && self.case.deadline.is_none() {
            // It would not end, and need not.
            does = Does::Fail;
        }
        let (at, index) = (self.clock.now(), called.len());
        called.push(Called {
            member,
            attempt: call.request,
            at,
            ended: None,
            does,
        });
        drop(called);
        let this = self.clone();
        Box::pin(async move {
            if does == Does::Nothing {
                return std::future::pending().await;
            }
            this.clock.clock().sleep_until(at + ms(time)).await;
            this.called.lock().unwrap()[index].ended = Some(this.clock.now());
            match does {
                Does::Answer => Ok(IDS[member]),
                Does::Refuse => Err(Unsent::new("refused").into()),
                does => Err(Said(does).into()),
            }
        })
    }
}

/// Sends the number of the try.
#[derive(Clone)]
struct Counting {
    may_repeat: bool,
}

impl FailoverPolicy<u32> for Counting {
    type Sent = u32;
    type Kept = ();

    fn keep(&self, _: u32) -> (u32, Option<()>) {
        (1, Some(()))
    }

    fn again(&self, _: &(), attempt: u32) -> Option<u32> {
        Some(attempt)
    }

    fn may_hedge(&self, _: &()) -> bool {
        self.may_repeat
    }
}

impl<Raw> Judge<u32, Raw> for Counting {
    fn judge(&self, _: &(), result: Result<&Raw, &Error>) -> Verdict {
        let Err(error) = result else {
            return Verdict::Success;
        };
        let said = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Said>());
        match said.map(|said| said.0) {
            _ if error.is_unsent() => Verdict::Unsent,
            _ if !self.may_repeat => Verdict::Failure,
            Some(Does::Away(wait)) => Verdict::Elsewhere {
                back_in: Some(ms(wait)),
            },
            Some(Does::Later(wait)) => Verdict::Later(ms(wait)),
            Some(Does::Final) => Verdict::Failure,
            _ => Verdict::Elsewhere { back_in: None },
        }
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// What came of it, and when it began and ended.
struct Played1 {
    result: Result<&'static str, Error>,
    called: Vec<Called>,
    began: Instant,
    ended: Instant,
}

fn play(case: &Case) -> Played1 {
    let clock = ManualClock::new();
    let ids = &IDS[..case.acts.len()];
    let mut builder = Pool::builder_on(clock.clock())
        .selector(RoundRobin::new())
        .backends(endpoints(ids))
        .seed(1);
    if let Some((capacity, deadline, _)) = case.limit {
        let deadline = ms(deadline);
        builder = builder
            .in_flight_limit(1)
            .admission(Admission::Queue { capacity, deadline });
    }
    let (pool, mut driver) = builder.build();
    let called: Arc<Mutex<Vec<Called>>> = Arc::default();
    let inner = BalanceLayer::new(pool.clone()).layer(Played {
        clock: clock.clone(),
        case: Arc::new(case.clone()),
        called: Arc::clone(&called),
    });
    let mut layer = FailoverLayer::new(Counting {
        may_repeat: case.may_repeat,
    })
    .tries(case.tries)
    .backoff(ms(case.backoff), 4 * ms(case.backoff))
    .budget(RetryBudget::of(0.0, f64::from(case.budget) / 10.0).unwrap())
    .seed(1);
    if let Some(time) = case.try_timeout {
        layer = layer.try_timeout(ms(time));
    }
    if let Some(time) = case.deadline {
        layer = layer.deadline(ms(time));
    }
    if let Some(time) = case.hedge {
        layer = layer.hedge(Hedge::after(ms(time)));
    }
    let began = clock.now();
    // Others, who have a member each for a while.
    let mut others: Vec<(Instant, Lease<Arc<Plain>>)> = Vec::new();
    for time in case.limit.iter().flat_map(|(_, _, others)| others) {
        others.extend(
            pool.clone()
                .pick(&Ask::new())
                .ok()
                .map(|lease| (began + ms(*time), lease)),
        );
    }
    let mut others_in_all = others.len() as u64;
    let mut drains = case.drains.map(|(member, at)| (member % ids.len(), began + ms(at)));
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut service = layer.layer(inner);
    let mut call = Box::pin(service.call(0));
    let result = loop {
        // Nobody polls who was not told to.
        if woken.0.swap(false, SeqCst) {
            if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
                break result;
            }
            continue;
        }
        let now = clock.now();
        others.retain(|(until, _)| now < *until);
        if let Some((member, _)) = drains.take_if(|(_, at)| now >= *at) {
            drop(pool.handle().drain(ids[member]));
            run(&mut driver);
        }
        if woken.0.load(SeqCst) {
            continue;
        }
        let soonest = others.iter().map(|(until, _)| *until).chain(drains.map(|(_, at)| at));
        let next = soonest
            .chain(clock.next_deadline())
            .min()
            .expect("somebody is to wake it");
        assert!(next > now, "it does not wake who sleeps until now");
        clock.advance(next - now);
    };
    let ended = clock.now();
    drop(others);
    let members = pool.members();
    assert!(
        members.iter().all(|member| member.in_flight == 0),
        "given back, though the future is kept"
    );
    let total: u64 = members.iter().map(|member| member.tally.total()).sum();
    let called = called.lock().unwrap().clone();
    others_in_all += called.len() as u64;
    assert_eq!(total, others_in_all, "each is counted once");
    drop(call);
    assert_eq!(
        pool.members().iter().map(|member| member.tally.total()).sum::<u64>(),
        total
    );
    Played1 {
        result,
        called,
        began,
        ended,
    }
}

fn check(case: &Case) {
    let Played1 {
        result,
        called,
        began,
        ended,
    } = play(case);
    // Who was given up before it refused might have been sent something.
    let was_refused = |called: &&Called| called.does == Does::Refuse && called.ended.is_some();
    let sent: Vec<_> = called.iter().filter(|called| !was_refused(called)).collect();
    let members = case.acts.len();

    // So many at most.
    let most = case.tries.max(1) as usize;
    assert!(sent.len() <= most, "{called:?}");
    assert!(called.len() <= most + members, "{called:?}");
    assert!(
        sent.len() <= 1 + usize::from(case.budget) * (1 + (ended - began).as_secs() as usize / 10),
        "{called:?}"
    );
    assert!(case.may_repeat || sent.len() <= 1, "{called:?}");

    // None twice while another is there.
    if case.limit.is_none() && case.drains.is_none() {
        for (index, one) in called.iter().take(members).enumerate() {
            assert!(
                called[..index].iter().all(|other| other.member != one.member),
                "{called:?}"
            );
        }
    }
    // Each has its number.
    assert!(
        called.windows(2).all(|two| two[0].attempt < two[1].attempt),
        "{called:?}"
    );

    for (index, one) in called.iter().enumerate() {
        let Some(ended) = one.ended else { continue };
        for later in called[index + 1..].iter().filter(|later| later.at >= ended) {
            match one.does {
                Does::Away(wait) if later.member == one.member => assert!(later.at >= ended + ms(wait), "{called:?}"),
                Does::Later(wait) => assert!(later.at >= ended + ms(wait), "{called:?}"),
                Does::Final => panic!("{called:?}"),
                _ => {}
            }
        }
    }
    if let Some(deadline) = case.deadline {
        assert!(ended - began <= ms(deadline));
    }
    match result {
        Ok(id) => assert!(
            sent.iter()
                .any(|called| IDS[called.member] == id && called.does == Does::Answer)
        ),
        Err(error) => {
            let mut tried: Vec<_> = error.tried().collect();
            let mut ids: Vec<_> = called.iter().map(|called| IDS[called.member]).collect();
            tried.sort_unstable();
            ids.sort_unstable();
            assert_eq!(tried, ids, "{error:?} {called:?}");
            assert_eq!(error.is_unsent(), sent.is_empty(), "{error:?} {called:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_becomes_of_a_request_it_ends_within_its_bounds(case in any_case()) {
        check(&case);
    }
}
