//! A probe on its way, and whatever goes wrong with it.

use std::{
    error::Error,
    fmt::{self, Write},
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{AbortHandle, Abortable, Aborted};

use crate::{
    error::BoxError,
    excerpt::Message,
    health::{Asked, Report},
    member::MemberId,
    pool::fault::guarded,
};

/// A probe on its way; it holds the backend. It ends as well, without an answer that counts, when it is aborted.
pub(super) struct Flight {
    member: MemberId,
    answer: Option<Abortable<Asked>>,
}

/// What a probe came to: a report, or why there is none.
pub(super) type Answer = Result<Report, Arc<str>>;

impl Flight {
    pub(super) fn new(member: MemberId, asked: Asked) -> (Self, AbortHandle) {
        let (handle, registration) = AbortHandle::new_pair();
        let answer = Some(Abortable::new(asked, registration));
        (Self { member, answer }, handle)
    }

    /// Dropping it is not our code either.
    fn end(&mut self) {
        let answer = self.answer.take();
        let _ = guarded(|| drop(answer));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end();
    }
}

impl Future for Flight {
    type Output = (MemberId, Answer);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = this.answer.as_mut();
        let polled = answer.map(|answer| guarded(|| Pin::new(answer).poll(cx)));
        let answer = match polled {
            Some(Ok(Poll::Pending)) => return Poll::Pending,
            Some(Ok(Poll::Ready(Ok(answer)))) => answer.map_err(reason),
            Some(Ok(Poll::Ready(Err(Aborted)))) | None => Err("given up".into()),
            Some(Err(panic)) => Err(panicked("the probe", &panic)),
        };
        this.end();
        Poll::Ready((this.member, answer))
    }
}

fn panicked(who: &str, panic: &str) -> Arc<str> {
    format!("{who} panicked: {}", Message(panic)).into()
}

/// What an error says, and those that it is due to.
fn reason(error: BoxError) -> Arc<str> {
    let told = guarded(|| {
        let mut text = Beginning(String::new());
        // The text may be cut, which is no harm.
        let _ = text.tell(&*error);
        Message(&text.0).to_string()
    });
    let _ = guarded(|| drop(error));
    told.map_or_else(|panic| panicked("the probe's error", &panic), Arc::from)
}

/// More than is shown of a text, whatever the characters; somebody's error may have no end.
const MOST: usize = 1024;

struct Beginning(String);

impl Beginning {
    fn tell(&mut self, error: &(dyn Error + 'static)) -> fmt::Result {
        write!(self, "{error}")?;
        let mut source = error.source();
        while let Some(error) = source {
            write!(self, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MOST.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0
            .extend(text.char_indices().take_while(|(at, _)| *at < room).map(|(_, c)| c));
        Err(fmt::Error)
    }
}
