//! The same over real sockets, in real time.

use std::{
    fs,
    os::unix::fs::FileExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Generous: that something happens at all, on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Bound {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Drained>,
}

async fn bind<F, R>(server: Server, serve: F) -> Bound
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = tower::service_fn(move |request| {
        let response = serve(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let done = tokio::spawn(server.serve(listener, service, async {
        let _ = stopped.await;
    }));
    Bound { address, stop, done }
}

impl Bound {
    async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn both_versions_are_served_and_a_shutdown_refuses_the_next() {
    let bound = bind(Server::new(), async |request| {
        let connection = connection(&request);
        assert!(connection.local().port() != connection.peer().port());
        let sent = connection.inform(Response::builder().status(103).body(()).unwrap());
        assert_eq!(sent, request.version() == http::Version::HTTP_11);
        answer(format!("{:?} from {}", request.version(), connection.peer()))
    })
    .await;
    let mut client = bound.connect().await;
    let local = client.stream.local_addr().unwrap();
    for _ in 0..3 {
        client.send(GET).await;
        assert_eq!(client.head().await, "HTTP/1.1 103 Early Hints\r\n\r\n");
        assert_eq!(client.response().await.1, format!("HTTP/1.1 from {local}"));
    }
    let stream = TcpStream::connect(bound.address).await.unwrap();
    let local = stream.local_addr().unwrap();
    let mut http2 = http2_over(stream).await;
    let response = http2.send_request(get()).await.unwrap();
    assert_eq!(text(response).await, format!("HTTP/2.0 from {local}"));

    bound.stop.send(()).unwrap();
    let drained = timeout(SOON, bound.done).await.expect("in time").unwrap();
    assert_eq!((drained.finished, drained.cut), (2, 0));
    assert!(TcpStream::connect(bound.address).await.is_err());
}

/// From other threads, racing with the response: what was promised is sent, before its own response, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn as_many_interim_responses_come_as_were_promised() {
    let promised = Arc::new(AtomicUsize::new(0));
    let promise = Arc::clone(&promised);
    let bound = bind(Server::new(), move |request| {
        let connection = connection(&request);
        let promise = Arc::clone(&promise);
        async move {
            let path = request.uri().path().to_owned();
            let hint = Response::builder().status(103).header("link", &path).body(()).unwrap();
            tokio::spawn(async move {
                while connection.inform(hint.clone()) {
                    promise.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            });
            for _ in 0..path.len() {
                tokio::task::yield_now().await;
            }
            answer(path)
        }
    })
    .await;
    let seen = (0..20).map(async |_| {
        let mut client = bound.connect().await;
        let mut seen = 0;
        for at in 0..100 {
            let path = format!("/{}", "x".repeat(at % 10));
            client.send(GET.replace("/ ", &format!("{path} "))).await;
            loop {
                let head = client.head().await;
                if head.starts_with("HTTP/1.1 200 OK\r\n") {
                    assert_eq!(client.until(&path).await, path);
                    break;
                }
                assert_eq!(head, format!("HTTP/1.1 103 Early Hints\r\nlink: {path}\r\n\r\n"));
                seen += 1;
            }
        }
        seen
    });
    let seen = timeout(SOON, futures_util::future::join_all(seen))
        .await
        .expect("in time");
    let seen: usize = seen.into_iter().sum();
    assert!(seen > 100, "{seen}");
    // Counted after it was promised, on another thread.
    let counted = timeout(SOON, async {
        while promised.load(Ordering::SeqCst) < seen {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    counted.await.expect("more were sent than promised");
    assert_eq!(seen, promised.load(Ordering::SeqCst));
}

/// In a process of its own: other tests open descriptors too.
#[test]
fn a_thousand_connections_leave_no_descriptors() {
    in_a_process_of_its_own("sockets::count_descriptors", 1024);
}

#[tokio::test]
async fn count_descriptors() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let bound = bind(Server::new(), async |_| answer("ok")).await;
    bound.connect().await;
    let before = descriptors();
    for _ in 0..10 {
        let mut open = Vec::new();
        for at in 0..100 {
            let mut client = bound.connect().await;
            match at % 4 {
                0 => client.send("GET / HT").await,
                1 => {
                    client.send(GET).await;
                    client.response().await;
                }
                2 => client.send(GET).await,
                _ => {}
            }
            open.push(client);
        }
        assert!(descriptors() >= before + 100, "they are counted");
    }
    let waited = timeout(SOON, async {
        while descriptors() > before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited
        .await
        .unwrap_or_else(|_| panic!("{} descriptors of {before}", descriptors()));
}

const ALONE: &str = "EQUIPOISE_TEST_ALONE";

/// Runs a test of this binary again, with so many descriptors at most.
fn in_a_process_of_its_own(test: &str, descriptors: usize) {
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -n {descriptors}; exec \"$0\" --exact {test}"))
        .arg(std::env::current_exe().unwrap())
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn without_descriptors_it_does_not_spin_and_goes_on_when_there_are_some() {
    in_a_process_of_its_own("sockets::run_out_of_descriptors", 64);
}

#[tokio::test]
async fn run_out_of_descriptors() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let bound = bind(Server::new(), async |_| answer("ok")).await;
    // There will be none for these later.
    let stat = fs::File::open("/proc/self/stat").unwrap();
    let mut spare = stat.try_clone().ok();
    // Each connection takes two, until a client has the last and the server none.
    let mut open = Vec::new();
    let (mut client, before) = loop {
        let Ok(stream) = TcpStream::connect(bound.address).await else {
            assert!(spare.take().is_some(), "neither has one");
            continue;
        };
        let mut client = Client::new(stream);
        client.send(GET).await;
        let before = processor_time(&stat);
        if timeout(Duration::from_secs(1), client.response()).await.is_err() {
            break (client, before);
        }
        open.push(client);
        assert!(open.len() < 64);
    };
    let used = processor_time(&stat) - before;
    assert!(used < Duration::from_millis(500), "{used:?} of one second");
    open.truncate(open.len() / 2);
    let response = timeout(SOON, client.response()).await.expect("in time");
    assert_eq!(response.1, "ok");
}

/// What this process has used of the processor (proc(5): fields 14 and 15, in hundredths of a second).
fn processor_time(stat: &fs::File) -> Duration {
    let mut bytes = [0; 1024];
    let length = stat.read_at(&mut bytes, 0).unwrap();
    let stat = std::str::from_utf8(&bytes[..length]).unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// The server answers early and closes; the client goes on sending. Closed at once, the connection would be reset, and
/// the response be lost with it.
#[tokio::test]
async fn an_early_response_reaches_a_client_that_still_sends() {
    let bound = bind(Server::new(), async |_| {
        let mut response = answer("too large");
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        response
    })
    .await;
    for _ in 0..20 {
        let mut client = bound.connect().await;
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n")
            .await;
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..40 {
            client.send(&piece).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (head, body) = client.response().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
        assert_eq!(body, "too large");
    }
}

#[tokio::test]
async fn a_body_of_many_megabytes_comes_whole_both_ways() {
    let bound = bind(Server::new(), async |request| {
        Response::new(request.into_body().map_err(Into::into).boxed_unsync())
    })
    .await;
    let bytes: Arc<Vec<u8>> = Arc::new((0..30_000_000_u32).map(|at| (at % 251) as u8).collect());
    let client = bound.connect().await;
    let (mut read, mut write) = client.stream.into_split();
    let sent = Arc::clone(&bytes);
    let writing = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", sent.len());
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&sent).await.unwrap();
        write
    });
    let mut seen = Vec::new();
    let received = timeout(SOON, async {
        let mut whole = usize::MAX;
        while seen.len() < whole {
            assert_ne!(read.read_buf(&mut seen).await.unwrap(), 0, "it ended within the body");
            if whole == usize::MAX {
                let head = seen.windows(4).position(|window| window == b"\r\n\r\n");
                whole = head.map_or(whole, |head| head + 4 + bytes.len());
            }
        }
    });
    received.await.expect("in time");
    writing.await.unwrap();
    assert!(seen.ends_with(&bytes), "other bytes");
}
