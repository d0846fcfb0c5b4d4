//! What a failover has to know of a protocol.

use std::time::Duration;

use crate::{balance::Dispatch, error::Error};

/// What is kept of a request, and how it is sent again.
pub trait FailoverPolicy<Req>: Clone {
    /// What is sent in its place.
    type Sent;
    /// What is kept to make another of.
    type Kept;

    /// Makes of a request what is sent first, and what is kept: none if it is not to be tried again by this layer,
    /// because another around it does that.
    fn keep(&self, request: Req) -> (Self::Sent, Option<Self::Kept>);

    /// The same request once more, as its so manieth try, from 2; none if it can't be made any more.
    fn again(&self, kept: &Self::Kept, attempt: u32) -> Option<Self::Sent>;

    /// Whether it may be sent while another is under way.
    fn may_hedge(&self, kept: &Self::Kept) -> bool;

    /// Whether all of the request is there, as far as that matters: while its maker is still to give more of it, or a
    /// backend is taking it, nobody can have answered, and no try's time is over. Asked each time that it would be.
    fn is_there(&self, kept: &Self::Kept) -> bool {
        let _ = kept;
        true
    }
}

/// What an answer says, of the request of which this is kept.
pub trait Judge<Req, Raw>: FailoverPolicy<Req> {
    /// Asked of each answer, of some more than once.
    fn judge(&self, kept: &Self::Kept, result: Result<&Raw, &Error>) -> Verdict;
}

/// What is sent in place of a request.
pub(super) type SentOf<Req, P> = <P as FailoverPolicy<Req>>::Sent;
/// What is answered to that.
pub(super) type RawOf<Req, D, P> = <D as Dispatch<SentOf<Req, P>>>::Raw;

/// What becomes of a request with such an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is good.
    Success,
    /// It is not, and the request is not to be sent again.
    Failure,
    /// Nothing was sent: another may be tried for nothing.
    Unsent,
    /// Another may be tried, from the budget; this one not before so long, if it said so: at most 300 s.
    Elsewhere {
        /// When this one will be back.
        back_in: Option<Duration>,
    },
    /// Whoever it is, not before so long: at most 300 s.
    Later(Duration),
}

impl Verdict {
    /// Another may be tried.
    pub(super) const ELSEWHERE: Self = Self::Elsewhere { back_in: None };
}

/// Every request may be sent any number of times, such as reads of replicas: every error is tried elsewhere.
///
/// It leaves no mark on requests: of two such layers around one another each tries on its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeatable;

/// No request may be sent twice: only one of which [nothing was sent](Error::is_unsent) is tried elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct AtMostOnce;

impl<Req: Clone> FailoverPolicy<Req> for Repeatable {
    type Sent = Req;
    type Kept = Req;

    #[inline(always)]
    fn keep(&self, request: Req) -> (Req, Option<Req>) {
        (request.clone(), Some(request))
    }

    fn again(&self, kept: &Req, _: u32) -> Option<Req> {
        Some(kept.clone())
    }

    fn may_hedge(&self, _: &Req) -> bool {
        true
    }
}

impl<Req: Clone, Raw> Judge<Req, Raw> for Repeatable {
    #[inline(always)]
    fn judge(&self, _: &Req, result: Result<&Raw, &Error>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) if error.is_unsent() => Verdict::Unsent,
            Err(_) => Verdict::ELSEWHERE,
        }
    }
}

impl<Req: Clone> FailoverPolicy<Req> for AtMostOnce {
    type Sent = Req;
    type Kept = Req;

    #[inline(always)]
    fn keep(&self, request: Req) -> (Req, Option<Req>) {
        (request.clone(), Some(request))
    }

    fn again(&self, kept: &Req, _: u32) -> Option<Req> {
        Some(kept.clone())
    }

    fn may_hedge(&self, _: &Req) -> bool {
        false
    }
}

impl<Req: Clone, Raw> Judge<Req, Raw> for AtMostOnce {
    #[inline(always)]
    fn judge(&self, _: &Req, result: Result<&Raw, &Error>) -> Verdict {
        match result {
            Ok(_) => Verdict::Success,
            Err(error) if error.is_unsent() => Verdict::Unsent,
            Err(_) => Verdict::Failure,
        }
    }
}
