//! What this side ran out of is not the backend's failure.

use std::io;

use super::*;

#[tokio::test]
async fn running_out_of_descriptors_is_no_failure_of_the_backend() {
    // EMFILE, ENFILE, and a connection that was refused.
    for (code, came_of_it) in [(24, "1 cancelled"), (23, "1 cancelled"), (111, "1 failed")] {
        let pool = Pool::builder()
            .backend("http://127.0.0.1:1,id=a".parse().unwrap())
            .spawn();
        // As clients wrap it: their own error, and the system's within.
        let client = tower::service_fn(move |_: Request<Body>| async move {
            let error = Error::backend_failed(None, io::Error::from_raw_os_error(code));
            Err::<Response<Body>, BoxError>(error.into())
        });
        let mut balanced = BalanceLayer::http(pool.clone()).layer(client);
        let error = balanced.call(Request::new(empty())).await.unwrap_err();
        assert_eq!(error.backend(), Some("a"));
        assert_eq!(state(&pool, "a"), came_of_it, "{code}");
    }
}
