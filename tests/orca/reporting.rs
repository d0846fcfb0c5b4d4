//! The server's side: what is in flight, how many a second, how long.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use equipoise::{
    LoadReport, ManualClock,
    orca::{Format, HEADER, HEADER_BIN, ReportLoad, read},
};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

type Bytes = axum::body::Bytes;

const SECOND: Duration = Duration::from_secs(1);

/// Answers with a body of its own, or with this status.
fn report_of<B: Body>(response: &Response<B>) -> LoadReport {
    read(response.headers()).unwrap().expect("a report")
}

fn request(path: &str) -> Request<()> {
    Request::get(format!("http://a{path}")).body(()).unwrap()
}

/// `/fail` is a 503, `/error` an error, all else a greeting.
async fn serve(request: Request<()>) -> Result<Response<Full<Bytes>>, &'static str> {
    let response = Response::builder();
    match request.uri().path() {
        "/fail" => Ok(response.status(503).body(Full::default()).unwrap()),
        "/error" => Err("broken"),
        _ => Ok(response.body(Full::from("hello")).unwrap()),
    }
}

#[test]
fn a_request_is_in_flight_until_its_body_has_ended_or_was_dropped() {
    let report = ReportLoad::on(ManualClock::new().clock());
    let mut service = report.layer(service_fn(serve));
    let mut get = |path| service.call(request(path)).now_or_never().unwrap().unwrap();
    let (one, two) = (get("/"), get("/"));
    assert_eq!(report_of(&one).queue(), Some(1.0), "itself");
    assert_eq!(report_of(&two).queue(), Some(2.0));
    assert_eq!(report.load().queue(), Some(2.0));
    assert_eq!(
        one.into_body().collect().now_or_never().unwrap().unwrap().to_bytes(),
        "hello"
    );
    assert_eq!(report.load().queue(), Some(1.0));
    drop(two);
    assert_eq!(report.load().queue(), Some(0.0));
    // A body that is empty from the start has ended with the head.
    let failed = get("/fail");
    assert_eq!(
        (failed.status(), report.load().queue()),
        (StatusCode::SERVICE_UNAVAILABLE, Some(0.0))
    );
    assert_eq!(report_of(&failed).queue(), Some(1.0));
}

#[test]
fn what_is_never_answered_is_in_flight_only_while_it_lasts() {
    let report = ReportLoad::on(ManualClock::new().clock());
    let mut service = report.layer(service_fn(async |_: Request<()>| {
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
    }));
    let mut calls: Vec<_> = (0..3).map(|_| Box::pin(service.call(request("/")))).collect();
    assert!(calls.iter_mut().all(|call| call.now_or_never().is_none()));
    assert_eq!(report.load().queue(), Some(3.0));
    calls.pop();
    assert_eq!(report.load().queue(), Some(2.0));
    drop(calls);
    let load = report.load();
    assert_eq!((load.queue(), load.qps(), load.latency()), (Some(0.0), Some(0.0), None));
}

#[test]
fn an_answer_that_took_longer_than_can_be_said_silences_nothing() {
    let manual = ManualClock::new();
    let report = ReportLoad::on(manual.clock());
    let mut service = report.layer(service_fn(async |request: Request<()>| {
        let manual: &ManualClock = request.extensions().get().unwrap();
        manual.advance(3 * 3600 * SECOND);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("late")))
    }));
    let mut request = request("/");
    request.extensions_mut().insert(manual);
    let late = service.call(request).now_or_never().unwrap().unwrap();
    let load = report_of(&late);
    assert_eq!((load.queue(), load.latency()), (Some(1.0), Some(3600 * SECOND)));
}

/// A body that breaks.
struct Breaks;

impl Body for Breaks {
    type Data = Bytes;
    type Error = &'static str;
    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready(Some(Err("broken")))
    }
}

#[test]
fn a_body_that_breaks_has_ended_and_a_switched_protocol_goes_on() {
    let report = ReportLoad::on(ManualClock::new().clock());
    let breaking = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Breaks)));
    let mut broken = report
        .layer(breaking)
        .oneshot(request("/"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(report.load().queue(), Some(1.0));
    assert!(broken.body_mut().frame().now_or_never().unwrap().unwrap().is_err());
    assert_eq!(report.load().queue(), Some(0.0));

    let switching = service_fn(async |_: Request<()>| {
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap())
    });
    let tunnel = report
        .layer(switching)
        .oneshot(request("/"))
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(report.load().queue(), Some(1.0));
    drop(tunnel);
    assert_eq!(report.load().queue(), Some(0.0));
}

#[test]
fn rates_are_those_of_the_last_ten_seconds_and_failures_are_counted_apart() {
    let time = ManualClock::new();
    let report = ReportLoad::on(time.clock());
    let mut service = report.layer(service_fn(serve));
    // Ten a second for thirty seconds: two are failures, one of them without an answer.
    for tenth in 0..300 {
        let path = ["/", "/", "/fail", "/", "/", "/error", "/", "/", "/", "/"][tenth % 10];
        let _ = service.call(request(path)).now_or_never().unwrap();
        time.advance(SECOND / 10);
    }
    let load = report.load();
    assert!((9.9..=10.1).contains(&load.qps().unwrap()), "{load:?}");
    assert!((1.9..=2.1).contains(&load.eps().unwrap()), "{load:?}");
    time.advance(10 * SECOND);
    let load = report.load();
    assert_eq!((load.qps(), load.eps()), (Some(0.0), Some(0.0)));
}

#[test]
fn latency_is_the_median_of_good_answers_and_failing_at_once_is_not_fast() {
    let time = ManualClock::new();
    let report = ReportLoad::on(time.clock());
    let clock = time.clone();
    let slow = move |request: Request<()>| {
        let clock = clock.clone();
        async move {
            if request.uri().path() == "/" {
                clock.advance(Duration::from_millis(30));
            }
            serve(request).await
        }
    };
    let mut service = report.layer(service_fn(slow));
    for path in ["/", "/fail", "/fail", "/fail", "/"] {
        drop(service.call(request(path)).now_or_never().unwrap());
    }
    assert_eq!(report.load().latency(), Some(Duration::from_millis(30)));
}

#[test]
fn utilization_is_the_application_s_word_if_it_makes_sense() {
    for (said, reported) in [
        (0.25, Some(0.25)),
        (0.0, Some(0.0)),
        (f64::NAN, None),
        (-1.0, None),
        (1e9, None),
    ] {
        let report = ReportLoad::on(ManualClock::new().clock()).with_utilization(move || said);
        assert_eq!(report.load().utilization(), reported);
        assert_eq!(report.load().queue(), Some(0.0), "the rest is said all the same");
    }
    assert_eq!(ReportLoad::on(ManualClock::new().clock()).load().utilization(), None);
}

#[test]
fn each_format_says_the_same_and_what_the_service_said_is_replaced() {
    for (format, name, other) in [
        (Format::Text, HEADER, HEADER_BIN),
        (Format::Json, HEADER, HEADER_BIN),
        (Format::Binary, HEADER_BIN, HEADER),
    ] {
        let report = ReportLoad::on(ManualClock::new().clock())
            .with_utilization(|| 0.5)
            .with_format(format);
        let said = service_fn(async |_: Request<()>| {
            let response = Response::builder()
                .header(HEADER, "TEXT eps=7")
                .header(HEADER_BIN, "CQAAAAAAAOA/");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from("hello")).unwrap())
        });
        let response = report
            .layer(said)
            .oneshot(request("/"))
            .now_or_never()
            .unwrap()
            .unwrap();
        assert!(response.headers().contains_key(name) && !response.headers().contains_key(other));
        let read = report_of(&response);
        assert_eq!(
            (read.queue(), read.qps(), read.utilization()),
            (Some(1.0), Some(1.0), Some(0.5)),
            "{format:?}"
        );
    }
}

#[test]
fn nothing_but_the_header_s_value_is_allocated() {
    for format in [Format::Text, Format::Json, Format::Binary] {
        let report = ReportLoad::on(ManualClock::new().clock())
            .with_utilization(|| 0.5)
            .with_format(format);
        let mut service = report.layer(service_fn(serve));
        let mut bare = service_fn(serve);
        let made = request("/");
        let once = || allocation_counter::measure(|| drop(bare.call(made.clone()).now_or_never()));
        let mut once = once;
        let _ = once();
        let without = once().count_total;
        let made = request("/");
        let mut reported = || allocation_counter::measure(|| drop(service.call(made.clone()).now_or_never()));
        let _ = reported();
        // The map of headers, which was empty, and the value.
        assert_eq!(reported().count_total - without, 3, "{format:?}");
    }
}

#[test]
fn clones_are_one_server() {
    let report = ReportLoad::on(ManualClock::new().clock());
    let held: Vec<_> = (0..4)
        .map(|_| {
            report
                .clone()
                .layer(service_fn(serve))
                .oneshot(request("/"))
                .now_or_never()
                .unwrap()
                .unwrap()
        })
        .collect();
    assert_eq!(report_of(&held[3]).queue(), Some(4.0));
    let report = Arc::new(report);
    drop(held);
    assert_eq!(report.load().queue(), Some(0.0));
}
