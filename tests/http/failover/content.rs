//! The time of a try while its content is sent.

use super::*;

/// A client that reads a part of the content each so many milliseconds, or none, and does not answer.
#[derive(Clone)]
struct Reads(ManualClock, Option<Duration>, Arc<Mutex<u32>>);

impl<D> Service<Request<Replay<D>>> for Reads
where
    D: Body<Error: Into<BoxError>> + Unpin + Send + 'static,
{
    type Response = Response<Content>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Replay<D>>) -> Self::Future {
        *self.2.lock().unwrap() += 1;
        let (clock, each) = (self.0.clock(), self.1);
        Box::pin(async move {
            let mut body = request.into_body();
            let Some(each) = each else {
                // Such as one that waits for a connection.
                return std::future::pending().await;
            };
            while body.frame().await.transpose()?.is_some() {
                clock.sleep_until(clock.now() + each).await;
            }
            status(200)
        })
    }
}

#[test]
fn the_time_of_a_try_is_over_if_nobody_takes_its_content_and_not_while_somebody_does() {
    for (each, passed, times) in [(None, 150, 3), (Some(30), 300, 1)] {
        let clock = ManualClock::new();
        let endpoints = ["a", "b", "c"].map(|id| format!("http://{id}").parse::<HttpEndpoint>().unwrap());
        let pool = Pool::builder_on(clock.clock()).backends(endpoints).build().0;
        let count = Arc::default();
        let client = Reads(clock.clone(), each.map(Duration::from_millis), Arc::clone(&count));
        let inner = BalanceLayer::http(pool).layer(client);
        let layer = FailoverLayer::http().try_timeout(Duration::from_millis(50));
        // All of it is there from the beginning.
        let parts = (0..10_u8).map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![part]))));
        let body = StreamBody::new(futures_util::stream::iter(parts.collect::<Vec<_>>()));
        let mut call = pin!(layer.layer(inner).call(Request::put("/").body(body).unwrap()));
        let ended = (0..10_000).find(|_| {
            let is_ready = call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            if !is_ready {
                clock.advance(Duration::from_millis(1));
            }
            is_ready
        });
        assert_eq!((ended, *count.lock().unwrap()), (Some(passed), times));
    }
}
