//! Which HTTP responses are failures.

use std::{error::Error, io, iter};

use http::{Response, StatusCode};
use http_body::Body;

use super::LeasedBody;
use crate::{BoxError, Lease, Outcome, Protocol};

/// `ENFILE` and `EMFILE`, the same on every Unix, for which the standard library has no name.
#[cfg(unix)]
const NO_DESCRIPTORS: [i32; 2] = [23, 24];
/// `WSAEMFILE`.
#[cfg(not(unix))]
const NO_DESCRIPTORS: [i32; 1] = [10024];

/// Whether this process, or this machine, has no file descriptor left for a connection.
fn is_exhaustion(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| NO_DESCRIPTORS.contains(&code))
}

/// HTTP: a status of 500 to 599 is a failure, and the lease lives in the response's body. The latency that selectors
/// learn is that of the head.
///
/// An error is a failure, but for one that says that this process, or this machine, has no file descriptor left: no
/// backend is the worse for that, and the request counts as cancelled.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Http;

impl<D: Body> Protocol<Response<D>> for Http {
    type Response = Response<LeasedBody<D>>;

    fn answered(&self, response: &Response<D>) -> Outcome {
        match response.status() {
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                Outcome::BadGateway
            }
            status if status.is_server_error() => Outcome::Failure,
            _ => Outcome::Success,
        }
    }

    fn outcome(&self, error: &BoxError) -> Outcome {
        let first: &(dyn Error + 'static) = &**error;
        let mut causes = iter::successors(Some(first), |error: &&(dyn Error + 'static)| (*error).source());
        if causes.any(|cause| cause.downcast_ref().is_some_and(is_exhaustion)) {
            Outcome::Cancelled
        } else {
            Outcome::Unreachable
        }
    }

    fn attach(response: Response<D>, lease: Lease) -> Self::Response {
        let status = response.status();
        response.map(|body| LeasedBody::new(body, lease, status))
    }
}
