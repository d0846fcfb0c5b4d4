//! The same layer over reqwest, whose own request and response types tower translates.

use tower::ServiceBuilder;

use super::*;

#[tokio::test]
async fn reqwest_is_balanced_as_any_client() {
    let pool = Pool::builder()
        .selector(RoundRobin::new())
        .backend(named("a").await)
        .backend(named("b").await)
        .spawn();
    let mut client = ServiceBuilder::new()
        .layer(BalanceLayer::http(pool.clone()))
        .map_response(Response::<reqwest::Body>::from)
        .filter(|request: Request<reqwest::Body>| reqwest::Request::try_from(request))
        .service(reqwest::Client::new());
    let mut answers = String::new();
    for _ in 0..4 {
        let request = Request::get("/").body(reqwest::Body::default()).unwrap();
        let response = soon(async { client.ready().await?.call(request).await }).await.unwrap();
        let body = soon(response.into_body().collect()).await.unwrap();
        answers.push_str(&String::from_utf8_lossy(&body.to_bytes()));
    }
    assert_eq!(answers, "abab");
    assert_eq!([state(&pool, "a"), state(&pool, "b")], ["2 succeeded", "2 succeeded"]);
    // What reqwest says of a backend that is not there comes as a typed error.
    let request = Request::get("/").body(reqwest::Body::default()).unwrap();
    let gone = "http://127.0.0.1:1,id=gone".parse::<HttpEndpoint>().unwrap();
    for id in ["a", "b"] {
        pool.handle().remove(id).await.unwrap();
    }
    pool.handle().insert(gone).await.unwrap();
    let error = soon(async { client.ready().await?.call(request).await })
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.backend()), (ErrorKind::Backend, Some("gone")));
}
