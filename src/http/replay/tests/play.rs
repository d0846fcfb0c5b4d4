//! A body that yields what it is told, handles of it, and what must be so of them whatever happens.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use super::super::{NotKept, Replay, Superseded};
use crate::BoxError;

/// A body that yields what it is fed, and waits in between.
pub(super) struct Script {
    pub(super) steps: VecDeque<Step>,
    pub(super) fed: Arc<Mutex<Fed>>,
    pub(super) is_exact: bool,
    /// Whether it knows its end with its last part.
    pub(super) foresees: bool,
}

#[derive(Default)]
pub(super) struct Fed {
    pub(super) steps: usize,
    pub(super) waits: Option<Waker>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    Error,
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        {
            let mut fed = self.fed.lock();
            if fed.steps == 0 {
                fed.waits = Some(cx.waker().clone());
                return Poll::Pending;
            }
            fed.steps -= 1;
        }
        Poll::Ready(self.steps.pop_front().map(|step| match step {
            Step::Data(data) => Ok(Frame::data(data)),
            Step::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Step::Error => Err("the client is gone".into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.foresees && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_exact {
            true => SizeHint::with_exact(content(&self.steps).len() as u64),
            false => SizeHint::new(),
        }
    }
}

pub(super) fn content<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Vec<u8> {
    let parts = steps.into_iter().filter_map(|step| match step {
        Step::Data(data) => Some(&data[..]),
        _ => None,
    });
    parts.collect::<Vec<_>>().concat()
}

#[derive(Default)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Stage {
    Open,
    Waits,
    Failed,
    Ended,
}

/// A handle, and whoever polls it.
pub(super) struct Task {
    replay: Replay<Script>,
    flag: Arc<Flag>,
    stage: Stage,
    got: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// It was said to be complete.
    is_safe: bool,
}

impl Task {
    pub(super) fn new(replay: Replay<Script>) -> Self {
        Self {
            replay,
            flag: Arc::default(),
            stage: Stage::Open,
            got: Vec::new(),
            trailers: None,
            is_safe: false,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Failed | Stage::Ended)
    }

    fn is_unread(&self) -> bool {
        self.got.is_empty() && !self.is_over()
    }
}

/// All handles of one content, in the order in which they were made; none where one was dropped.
pub(super) struct Play {
    pub(super) tasks: Vec<Option<Task>>,
    pub(super) newest: usize,
    pub(super) fed: Arc<Mutex<Fed>>,
    pub(super) content: Vec<u8>,
    pub(super) trailers: Option<HeaderMap>,
    pub(super) fails: bool,
    pub(super) limit: usize,
    pub(super) is_exact: bool,
    /// How much was read of the live body.
    pub(super) read: usize,
    pub(super) has_failed: bool,
    /// Something was read that can't have been kept.
    pub(super) is_lost: bool,
    /// Something was read, be it an empty part, when nobody was to begin anew.
    pub(super) has_passed: bool,
}

impl Play {
    pub(super) fn new(steps: Vec<Step>, limit: usize, is_exact: bool, foresees: bool) -> Self {
        let fed = Arc::<Mutex<Fed>>::default();
        let trailers = steps.iter().find_map(|step| match step {
            Step::Trailers(trailers) => Some(trailers.clone()),
            _ => None,
        });
        let script = Script {
            fed: Arc::clone(&fed),
            steps: steps.clone().into(),
            is_exact,
            foresees,
        };
        Self {
            tasks: vec![Some(Task::new(Replay::new(script, limit)))],
            newest: 0,
            fed,
            content: content(&steps),
            trailers,
            fails: steps.iter().any(|step| matches!(step, Step::Error)),
            limit,
            is_exact,
            read: 0,
            has_failed: false,
            is_lost: false,
            has_passed: false,
        }
    }

    pub(super) fn feed(&mut self, steps: usize) {
        let mut fed = self.fed.lock();
        fed.steps += steps;
        let waits = fed.waits.take();
        drop(fed);
        waits.into_iter().for_each(Waker::wake);
    }

    pub(super) fn again(&mut self, at: usize) {
        let Some(task) = &self.tasks[at] else { return };
        let replay = task.replay.again();
        let is_kept = !self.is_lost && !self.has_failed;
        if !is_kept {
            assert!(replay.is_none(), "it can't give all");
        } else if self.read == 0 || self.tasks.iter().flatten().any(Task::is_unread) {
            assert!(replay.is_some(), "all is kept for an unread one");
        }
        self.tasks.extend(replay.map(|replay| Some(Task::new(replay))));
    }

    pub(super) fn poll(&mut self, at: usize) {
        let mut others = self.tasks.iter().enumerate().filter(|(other, _)| *other != at);
        let is_wanted = others.any(|(_, task)| task.as_ref().is_some_and(Task::is_unread));
        let Some(task) = &mut self.tasks[at] else { return };
        self.newest = self.newest.max(at);
        let (was_over, was_complete) = (task.is_over(), task.replay.is_complete());
        let (is_end, hint) = (task.replay.is_end_stream(), task.replay.size_hint());
        let left = (self.content.len() - task.got.len()) as u64;
        if !was_over && !self.fails {
            assert!(
                hint.lower() <= left && hint.upper().is_none_or(|upper| upper >= left),
                "{hint:?} for {left}"
            );
            let has_trailers = was_complete && self.trailers.is_some() && task.trailers.is_none();
            assert!(!has_trailers || hint.exact().is_none(), "no room for trailers");
            let is_plain = self.trailers.is_none() && (self.is_exact || was_complete);
            assert!(
                !is_plain || self.is_lost || hint.exact() == Some(left),
                "{hint:?} for {left}"
            );
        }
        let waker = Waker::from(Arc::clone(&task.flag));
        let polled = Pin::new(&mut task.replay).poll_frame(&mut Context::from_waker(&waker));
        assert!(
            !is_end || matches!(polled, Poll::Ready(None)),
            "it said that it was over"
        );
        match polled {
            Poll::Pending => task.stage = Stage::Waits,
            Poll::Ready(Some(Ok(frame))) => {
                task.stage = Stage::Open;
                let mut size = 0;
                self.has_passed |= !is_wanted;
                match frame.into_data() {
                    Ok(data) => {
                        task.got.extend_from_slice(&data);
                        assert!(self.content.starts_with(&task.got), "not what was sent");
                        size = task.got.len().saturating_sub(self.read);
                        self.read += size;
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap();
                        if !was_complete {
                            size = trailers
                                .iter()
                                .map(|(name, value)| name.as_str().len() + value.len())
                                .sum();
                        }
                        assert!(task.trailers.replace(trailers).is_none());
                    }
                }
                let known = if self.is_exact { self.content.len() } else { self.read };
                let length = known.max(self.read + if task.trailers.is_some() { size } else { 0 });
                self.is_lost |= size > 0 && (!is_wanted || length > self.limit);
            }
            Poll::Ready(None) => {
                assert!(was_over || !self.fails, "it has no end");
                assert!(was_over || (&task.got, &task.trailers) == (&self.content, &self.trailers));
                task.stage = Stage::Ended;
            }
            Poll::Ready(Some(Err(error))) => {
                task.stage = Stage::Failed;
                assert!(!was_over && !was_complete && !task.is_safe, "{error}");
                match error {
                    error if error.is::<Superseded>() => assert!(self.newest > at, "by whom?"),
                    error if error.is::<NotKept>() => {
                        assert!(self.is_lost || self.has_failed || self.has_passed, "why not?")
                    }
                    _ => assert!(self.fails && !std::mem::replace(&mut self.has_failed, true), "once"),
                }
            }
        }
        let task = self.tasks[at].as_ref().unwrap();
        let is_safe = !task.is_over() && task.replay.is_complete();
        self.tasks[at].as_mut().unwrap().is_safe |= is_safe;
    }

    /// Lets all go on that can, until none can.
    pub(super) fn finish(&mut self) {
        self.feed(1000);
        for at in (0..self.tasks.len()).cycle().take(1000 * self.tasks.len()) {
            let can_run = self.tasks[at].as_ref().is_some_and(|task| match task.stage {
                Stage::Open => true,
                Stage::Waits => task.flag.0.swap(false, Ordering::Relaxed),
                Stage::Failed | Stage::Ended => false,
            });
            if can_run {
                self.poll(at);
            }
        }
        for task in self.tasks.iter().flatten() {
            assert!(
                task.is_over(),
                "it hangs: {:?} after {} bytes",
                task.stage,
                task.got.len()
            );
        }
    }

    pub(super) fn taken(&self) -> usize {
        super::taken(&self.tasks.iter().flatten().next().unwrap().replay)
    }
}
