//! Any content, any limit, any number of handles that are polled and dropped in any order.

mod play;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame};
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*};

use self::play::{Fed, Play, Script, Step};
use super::Replay;
use crate::BoxError;

fn taken(replay: &Replay<Script>) -> usize {
    let handle = replay.handle.as_ref();
    handle.map_or(0, |handle| handle.shared.state.lock().taken())
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("42"))])
}

#[derive(Clone, Debug)]
enum Act {
    Feed,
    Poll(prop::sample::Index),
    Again(prop::sample::Index),
    Drop(prop::sample::Index),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let index = any::<prop::sample::Index>;
    let act = prop_oneof![
        4 => Just(Act::Feed),
        8 => index().prop_map(Act::Poll),
        2 => index().prop_map(Act::Again),
        1 => index().prop_map(Act::Drop),
    ];
    vec(act, 0..60)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![0..4_usize, 0..3000_usize];
    let last = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Step::Trailers(trailers()))),
        1 => Just(Some(Step::Error)),
    ];
    (vec(length, 0..12), last).prop_map(|(lengths, last)| {
        let mut numbers = 0_u32..;
        let mut part = |length: usize| {
            numbers
                .by_ref()
                .take(length)
                .map(|number| (number % 251) as u8)
                .collect()
        };
        let parts = lengths.into_iter().map(|length| Step::Data(part(length)));
        parts.collect::<Vec<_>>().into_iter().chain(last).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_handle_gives_the_content_or_says_that_it_can_not(
        steps in steps(),
        limit in prop_oneof![0..8_usize, 0..20_000_usize],
        is_exact: bool,
        foresees: bool,
        acts in acts(),
    ) {
        let mut play = Play::new(steps, limit, is_exact, foresees);
        for act in acts {
            let count = play.tasks.len();
            match act {
                Act::Feed => play.feed(1),
                Act::Poll(at) => play.poll(at.index(count)),
                Act::Again(at) => play.again(at.index(count)),
                Act::Drop(at) => drop(play.tasks[at.index(count)].take()),
            }
            if play.tasks.iter().all(Option::is_none) {
                return Ok(());
            }
            prop_assert!(play.taken() <= limit, "{} of {limit}", play.taken());
        }
        play.finish();
        prop_assert!(play.taken() <= limit);
    }
}

fn script(parts: &[usize]) -> Script {
    let fed = Fed {
        steps: usize::MAX,
        waits: None,
    };
    Script {
        steps: parts.iter().map(|length| Step::Data(vec![7; *length].into())).collect(),
        fed: Arc::new(Mutex::new(fed)),
        is_exact: false,
        foresees: false,
    }
}

/// The length of the next part.
fn next(replay: &mut Replay<Script>) -> Option<usize> {
    let polled = Pin::new(replay).poll_frame(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(Some(Ok(frame))) => Some(frame.into_data().unwrap().len()),
        Poll::Ready(None) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_kept_for_nobody() {
    let mut only = Replay::new(script(&[9, 9, 9]), 100);
    let spare = only.again().unwrap();
    assert_eq!((next(&mut only), taken(&only) > 0), (Some(9), true));
    drop(spare);
    assert_eq!(taken(&only), 0, "at once: it has been read");
    assert_eq!((next(&mut only), taken(&only)), (Some(9), 0));
    assert!(only.again().is_none());
    assert_eq!((next(&mut only), next(&mut only)), (Some(9), None));
}

#[test]
fn what_is_kept_is_let_go_as_the_last_handle_reads_it() {
    let mut first = Replay::new(script(&[1024, 1024, 1024, 9]), 10_000);
    let mut second = first.again().unwrap();
    while next(&mut first).is_some() {}
    drop(first);
    let mut left = taken(&second);
    while next(&mut second).is_some() {
        assert!(taken(&second) < left);
        left = taken(&second);
    }
    assert_eq!(left, 0);
}

#[test]
fn what_is_known_to_be_too_long_is_not_kept() {
    let body = Script {
        is_exact: true,
        ..script(&[60, 60])
    };
    let mut first = Replay::new(body, 100);
    let spare = first.again().unwrap();
    assert_eq!((next(&mut first), taken(&first)), (Some(60), 0));
    assert!(spare.again().is_none());
    assert_eq!(next(&mut first), Some(60), "it passes all the same");
}

#[test]
fn many_small_parts_are_no_more_than_their_content() {
    let mut first = Replay::new(script(&[1; 5000]), 5000);
    let mut spare = first.again().unwrap();
    while next(&mut first).is_some() {}
    assert!(spare.is_complete());
    assert!(taken(&spare) <= 5000);
    let blocks = std::iter::from_fn(|| next(&mut spare)).count();
    assert!(blocks < 10, "{blocks}");
}

#[test]
fn what_is_over_at_once_shares_nothing() {
    let empty = Script {
        foresees: true,
        ..script(&[])
    };
    let replay = Replay::new(empty, 100);
    assert!(replay.handle.is_none() && replay.again().unwrap().handle.is_none());
    assert!(replay.is_end_stream() && replay.is_complete());
    assert_eq!(replay.size_hint().exact(), Some(0));
}

/// The last waker of a connection may hold its attempt, and the live body drops it when it gets another.
#[test]
fn a_handle_may_be_dropped_within_the_live_bodys_poll() {
    struct Holds(Arc<Mutex<Option<Replay<Holds>>>>);

    impl Body for Holds {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            drop(self.0.lock().take());
            Poll::Ready(Some(Ok(Frame::data(Bytes::from("part")))))
        }
    }

    let held = Arc::new(Mutex::new(None));
    let mut replay = Replay::new(Holds(Arc::clone(&held)), 100);
    *held.lock() = replay.again();
    let polled = Pin::new(&mut replay).poll_frame(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Some(Ok(_)))));
    assert!(replay.again().is_none());
}

/// Has a part each other time that it is polled, and wakes the last who asked.
struct Slow {
    parts: u32,
    given: u32,
    sleeps: bool,
    waits: Arc<Mutex<Option<Waker>>>,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.sleeps = !self.sleeps;
        if self.sleeps {
            *self.waits.lock() = Some(cx.waker().clone());
            let waits = Arc::clone(&self.waits);
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                let waker = waits.lock().take();
                waker.into_iter().for_each(Waker::wake);
            });
            return Poll::Pending;
        }
        if self.given == self.parts {
            return Poll::Ready(None);
        }
        let part = self.given.to_be_bytes().repeat(5);
        self.given += 1;
        Poll::Ready(Some(Ok(Frame::data(part.into()))))
    }
}

/// However handles are read, made and dropped by several threads: none gives anything but the content from its beginning,
/// all of it unless it says that it can't, and none waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_that_read_at_once_get_the_content_or_are_told() {
    use http_body_util::BodyExt;
    for round in 0..300_u32 {
        let parts = round % 40;
        let whole: Vec<u8> = (0..parts).flat_map(|part| part.to_be_bytes().repeat(5)).collect();
        let limit = if round % 3 == 0 { whole.len() / 2 } else { whole.len() };
        let first = Replay::new(
            Slow {
                parts,
                given: 0,
                sleeps: false,
                waits: Arc::default(),
            },
            limit,
        );
        let spare = Arc::new(first.again().unwrap());
        let read = |mut replay: Replay<Slow>, most: u32| async move {
            let mut got = Vec::new();
            for _ in 0..most {
                match replay.frame().await {
                    None => return (got, Some(true)),
                    Some(Ok(frame)) => got.extend_from_slice(frame.data_ref().unwrap()),
                    Some(Err(_)) => return (got, Some(false)),
                }
            }
            (got, None)
        };
        let mut tasks = vec![tokio::spawn(read(first, u32::MAX))];
        for task in 0..4 {
            let spare = Arc::clone(&spare);
            tasks.push(tokio::spawn(async move {
                for _ in 0..task {
                    tokio::task::yield_now().await;
                }
                match spare.again() {
                    Some(another) => read(another, if task == 2 { 3 } else { u32::MAX }).await,
                    None => (Vec::new(), Some(false)),
                }
            }));
        }
        for task in tasks {
            let ended = tokio::time::timeout(std::time::Duration::from_secs(20), task).await;
            let (got, is_whole) = ended.expect("nobody waits for ever").unwrap();
            assert!(whole.starts_with(&got), "{round}");
            assert!(is_whole != Some(true) || got == whole, "{round}");
        }
        // What fits is there still, whoever has read it.
        if limit == whole.len() {
            assert_eq!(
                read(spare.again().unwrap(), u32::MAX).await,
                (whole, Some(true)),
                "{round}"
            );
        }
        let shared = spare.handle.as_ref().map(|handle| Arc::clone(&handle.shared));
        assert_eq!(shared.as_ref().map(Arc::strong_count), Some(2));
    }
}
