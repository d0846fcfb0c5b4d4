//! The client's side: reports reach the selector, and bad ones are counted and ignored.

use equipoise::{
    Ask, Assigned, BalanceLayer, BoxError, Endpoint, FleetLeastLoaded, LeastLoaded, ManualClock, Plain, Pool, Selector,
    http::{Http, HttpEndpoint, LeasedBody},
    orca::Orca,
};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};

type Bytes = axum::body::Bytes;

const NAME: &str = "endpoint-load-metrics";

fn pool<S: Selector<HttpEndpoint>>(selector: S) -> Pool<HttpEndpoint, S> {
    let backend = |address: &str| address.parse::<HttpEndpoint>().unwrap();
    let builder = Pool::builder_on(ManualClock::new().clock()).selector(selector);
    builder
        .backend(backend("http://a"))
        .backend(backend("http://b"))
        .build()
        .0
}

/// A client whose servers all answer with these headers.
fn client<S: Selector<HttpEndpoint>>(
    pool: &Pool<HttpEndpoint, S>,
    headers: &'static [(&'static str, &'static str)],
) -> impl FnMut() -> Response<LeasedBody<Full<Bytes>>> {
    let answer = move |_: Request<()>| {
        let mut response = Response::builder();
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        std::future::ready(response.body(Full::from("hello")).map_err(BoxError::from))
    };
    let mut service = BalanceLayer::orca(pool.clone()).layer(service_fn(answer));
    move || service.call(Request::new(())).now_or_never().unwrap().unwrap()
}

fn rejected<S: Selector<HttpEndpoint>>(pool: &Pool<HttpEndpoint, S>) -> u64 {
    pool.members().iter().map(|member| member.rejected_reports).sum()
}

#[test]
fn a_report_reaches_the_selector_in_every_format() {
    for headers in [
        &[("endpoint-load-metrics", "TEXT named_metrics.in_flight=100")][..],
        &[("endpoint-load-metrics", "JSON {\"named_metrics\":{\"in_flight\":100}}")],
        // Field 8, of 20 bytes: the key in_flight, and 100.
        &[("endpoint-load-metrics-bin", "QhQKCWluX2ZsaWdodBEAAAAAAABZQA")],
    ] {
        let mut pool = pool(FleetLeastLoaded::new().with_clients(2.0).unwrap());
        let first = client(&pool, headers)();
        assert_eq!(rejected(&pool), 0);
        // It is left in the response.
        assert!(first.headers().contains_key(headers[0].0));
        let loaded = pool.members().into_iter().find(|member| member.in_flight == 1).unwrap();
        drop(first);
        // It is idle as far as this client knows, and yet nobody goes there.
        for _ in 0..20 {
            let lease = pool.pick(&Ask::new()).unwrap();
            assert_ne!(
                lease.backend_id(),
                equipoise::Backend::id(&*loaded.backend),
                "{headers:?}"
            );
        }
    }
}

#[test]
fn bad_reports_are_counted_and_ignored() {
    let pool = pool(FleetLeastLoaded::new());
    let bad: [&[(&str, &str)]; 6] = [
        &[(NAME, "TEXT named_metrics.in_flight=-1")],
        &[(NAME, "TEXT named_metrics.in_flight=NaN")],
        &[(NAME, "TEXT named_metrics.in_flight=1000000000")],
        &[(NAME, "JSON {")],
        &[(NAME, "nonsense")],
        &[("endpoint-load-metrics-bin", "!!!")],
    ];
    for (count, headers) in (1..).zip(bad) {
        let response = client(&pool, headers)();
        assert_eq!(response.status(), 200, "the answer is none the worse");
        assert_eq!(rejected(&pool), count, "{headers:?}");
    }
    // None of them was believed: ties are even.
    let mut picks = pool.clone();
    let to_a = (0..200)
        .filter(|_| picks.pick(&Ask::new()).unwrap().backend_id() == "http://a")
        .count();
    assert!((60..=140).contains(&to_a), "{to_a} of 200");
    assert!(pool.members().iter().all(|member| member.tally.failed == 0));
}

#[test]
fn who_does_not_go_by_reports_does_not_read_them() {
    let pool = pool(LeastLoaded::new());
    client(&pool, &[("endpoint-load-metrics", "nonsense")])();
    assert_eq!(rejected(&pool), 0);
}

#[test]
fn no_report_is_not_a_bad_one_and_what_is_good_is_the_inner_protocol_s_to_say() {
    let pool = pool(FleetLeastLoaded::new());
    let answer = async |_: Request<()>| {
        let response = Response::builder()
            .status(500)
            .header("endpoint-load-metrics", "TEXT eps=1");
        Ok::<_, BoxError>(response.body(Full::<Bytes>::from("sorry"))?)
    };
    let layer = BalanceLayer::with(pool.clone(), Orca::new(Http::default()), equipoise::http::ToOriginLayer);
    let response = layer
        .layer(service_fn(answer))
        .call(Request::new(()))
        .now_or_never()
        .unwrap();
    assert_eq!(response.unwrap().status(), 500);
    client(&pool, &[])();
    assert_eq!(rejected(&pool), 0);
    assert_eq!(pool.members().iter().map(|member| member.tally.failed).sum::<u64>(), 1);
}

/// Around a protocol that is not HTTP's own.
#[test]
fn any_protocol_over_http_can_be_wrapped() {
    let pool = Pool::builder_on(ManualClock::new().clock()).selector(FleetLeastLoaded::new());
    let pool = pool.backend(Endpoint::new("a", ())).build().0;
    let answer = async |_: Assigned<(), Endpoint<()>>| {
        let response = Response::builder().header("endpoint-load-metrics", "nonsense");
        Ok::<_, BoxError>(response.body(())?)
    };
    let layer = BalanceLayer::with(
        pool.clone(),
        Orca::new(Plain::default()),
        tower::layer::util::Identity::new(),
    );
    layer
        .layer(service_fn(answer))
        .call(())
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(pool.members()[0].rejected_reports, 1);
}
