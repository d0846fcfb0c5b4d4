//! What befalls backends.

use std::time::{Duration, Instant};

use tokio::{task::block_in_place, time::sleep};

use crate::backend::{Backend, Manner};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its process is: connections are refused.
    Killed,
    /// Its process is: it takes connections, and says nothing.
    Stopped,
    /// Connections are, before the head of an answer.
    Reset,
    /// Answers are, after their head.
    BrokenOff,
    /// With 500s, probes as well.
    Failing,
    /// A hundred times slower.
    Slow,
    /// A second with 500s, a second without, and so on.
    Flapping,
    TwoKilled,
    AllKilled,
    AllFailing,
}

/// When it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell {
    pub(crate) began: Instant,
    /// Not all that it hits were hit before that.
    pub(crate) hit: Instant,
    /// One of them is well again.
    pub(crate) back: Instant,
}

impl Fault {
    /// How many of the three it hits, which are the first.
    pub(crate) fn hits(self) -> usize {
        match self {
            Self::TwoKilled => 2,
            Self::AllKilled | Self::AllFailing => 3,
            _ => 1,
        }
    }

    /// Befalls them for so long.
    pub(crate) async fn befall(self, backends: &mut [Backend], lasts: Duration) -> Spell {
        let hit = &mut backends[..self.hits()];
        match self {
            Self::Killed | Self::TwoKilled | Self::AllKilled => kill(hit, lasts).await,
            Self::Stopped => {
                let began = Instant::now();
                block_in_place(|| hit[0].signal("STOP"));
                sleep(lasts).await;
                block_in_place(|| hit[0].signal("CONT"));
                Spell::of_one(began)
            }
            Self::Reset => misbehave(hit, Manner::Resetting, lasts).await,
            Self::BrokenOff => misbehave(hit, Manner::BreakingOff, lasts).await,
            Self::Failing | Self::AllFailing => misbehave(hit, Manner::Failing, lasts).await,
            Self::Slow => misbehave(hit, Manner::Slow, lasts).await,
            Self::Flapping => {
                const SECOND: Duration = Duration::from_secs(1);
                let began = Instant::now();
                while began.elapsed() < lasts {
                    misbehave(hit, Manner::Failing, SECOND).await;
                    sleep(SECOND.min(lasts.saturating_sub(began.elapsed()))).await;
                }
                Spell::of_one(began)
            }
        }
    }
}

impl Spell {
    /// Until now.
    fn of_one(began: Instant) -> Self {
        Self {
            began,
            hit: began,
            back: Instant::now(),
        }
    }
}

async fn misbehave(hit: &mut [Backend], manner: Manner, lasts: Duration) -> Spell {
    let began = Instant::now();
    hit.iter_mut().for_each(|backend| backend.answer(manner));
    sleep(lasts).await;
    hit.iter_mut().for_each(|backend| backend.answer(Manner::Well));
    Spell::of_one(began)
}

async fn kill(hit: &mut [Backend], lasts: Duration) -> Spell {
    let began = Instant::now();
    let (mut last, mut back) = (began, None);
    for backend in &mut *hit {
        last = Instant::now();
        block_in_place(|| backend.signal("KILL"));
    }
    sleep(lasts).await;
    for backend in hit {
        backend.end("KILL").await;
        block_in_place(|| backend.start_again());
        back.get_or_insert_with(Instant::now);
    }
    Spell {
        began,
        hit: last,
        back: back.unwrap_or_else(Instant::now),
    }
}
