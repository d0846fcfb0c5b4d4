//! gRPC calls, by their status and the word of their maker.

use super::*;

fn call(path: &str) -> Request<Content> {
    let request = Request::post(path).header("content-type", "application/grpc");
    request.body(Full::from("message")).unwrap()
}

fn grpc() -> GrpcFailover {
    GrpcFailover::new().repeatable(|path| path == "/s/Get")
}

#[test]
fn grpc_calls_are_made_again_by_their_status_and_the_word_of_their_maker() {
    for (path, reply, times) in [
        ("/s/Get", "14", 3),
        ("/s/Put", "14", 1),
        ("/s/Get", "0", 1),
        ("/s/Get", "5", 1),
        ("/s/Get", "nonsense", 1),
    ] {
        let world = World::new(move |_| with(200, "grpc-status", reply));
        assert_eq!(world.send(FailoverLayer::new(grpc()), call(path)).0.unwrap(), 200);
        let seen = world.seen();
        assert_eq!(seen.len(), times, "{path} {reply}");
        for (seen, before) in seen.iter().zip(0..) {
            let previous = (before > 0).then(|| before.to_string());
            assert_eq!((&*seen.body, &seen.previous), (&b"message"[..], &previous));
        }
    }
    // What no gRPC server has said: the mapping of HTTP statuses.
    for (code, times) in [(503, 3), (502, 3), (504, 3), (429, 3), (500, 1), (404, 1)] {
        let world = World::new(move |_| status(code));
        world.send(FailoverLayer::new(grpc()), call("/s/Get")).0.unwrap();
        assert_eq!(world.times(), times, "{code}");
    }
    // Nothing was sent: transparently, whatever it is.
    let world = World::new(|times| if times < 2 { refused() } else { status(200) });
    assert_eq!(world.send(FailoverLayer::grpc(), call("/s/Put")).0.unwrap(), 200);
    let world = World::new(|_| broken());
    assert!(world.send(FailoverLayer::grpc(), call("/s/Put")).0.is_err());
    assert_eq!(world.times(), 1);
    let layer = FailoverLayer::new(grpc().codes([8]));
    let world = World::new(|_| with(200, "grpc-status", "8"));
    world.send(layer, call("/s/Get")).0.unwrap();
    assert_eq!(world.times(), 3);
}

#[test]
fn a_grpc_server_that_pushes_back_is_heeded() {
    let pushback = |value: &'static str| {
        move |times| match times {
            0 => {
                let mut reply = with(200, "grpc-status", "14")?;
                reply.headers_mut().insert("grpc-retry-pushback-ms", value.parse()?);
                Ok(reply)
            }
            _ => status(200),
        }
    };
    for (value, times, waited) in [
        ("0", 2, 0),
        ("1500", 2, 1_500),
        ("-1", 1, 0),
        ("soon", 1, 0),
        ("", 1, 0),
        ("86400000", 2, 300_000),
    ] {
        let world = World::new(pushback(value));
        let (result, passed) = world.send(FailoverLayer::new(grpc()), call("/s/Get"));
        assert_eq!(
            (result.unwrap(), passed, world.times()),
            (200, waited, times),
            "{value}"
        );
    }
}
