//! Which HTTP responses are failures.

use http::Response;
use http_body::Body;

use super::LeasedBody;
use crate::{Lease, Protocol};

/// HTTP: a status of 500 to 599 is a failure, and the lease lives in the response's body. The latency that selectors
/// learn is that of the head.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Http;

impl<D: Body> Protocol<Response<D>> for Http {
    type Response = Response<LeasedBody<D>>;

    fn is_good(&self, response: &Response<D>) -> bool {
        !response.status().is_server_error()
    }

    fn attach(response: Response<D>, lease: Lease) -> Self::Response {
        let status = response.status();
        response.map(|body| LeasedBody::new(body, lease, status))
    }
}
