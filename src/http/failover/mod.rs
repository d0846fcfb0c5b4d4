//! HTTP requests that are sent to another backend.

mod attempt;
mod grpc;
mod kept;
mod policy;
mod retry_after;

pub use attempt::Attempt;
pub use grpc::GrpcFailover;
pub use kept::Kept;
pub use policy::HttpFailover;

use crate::FailoverLayer;

impl FailoverLayer<HttpFailover> {
    /// For HTTP, by [`HttpFailover::new`]; the client takes requests whose body is a [`Replay`](super::Replay).
    ///
    /// ```
    /// use equipoise::{BalanceLayer, FailoverLayer, Pool, http::HttpEndpoint};
    /// use tower::ServiceBuilder;
    /// # fn client<C: Clone>(pool: Pool<HttpEndpoint>, client: C) {
    /// let balanced = ServiceBuilder::new()
    ///     .layer(FailoverLayer::http())
    ///     .layer(BalanceLayer::http(pool))
    ///     .service(client);
    /// # }
    /// ```
    pub fn http() -> Self {
        Self::new(HttpFailover::new())
    }
}

impl FailoverLayer<GrpcFailover> {
    /// For gRPC, by [`GrpcFailover::new`]; the client takes requests whose body is a [`Replay`](super::Replay).
    pub fn grpc() -> Self {
        Self::new(GrpcFailover::new())
    }
}
