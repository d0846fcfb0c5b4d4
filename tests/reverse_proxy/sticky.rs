//! Sessions that stay with their backend, whatever becomes of backends and of the proxy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use crate::{
    backends::Backend,
    program::{Folder, Program},
    proxy::{Proxy, command},
    wire::{Message, Wire, soon},
};

/// In turns, so that a new session goes to the next.
const IN_TURNS: [&str; 2] = ["--strategy", "round_robin"];

async fn three() -> [Backend; 3] {
    [
        Backend::named("a").await,
        Backend::named("b").await,
        Backend::named("c").await,
    ]
}

/// An answer of a request with these header lines.
async fn ask(proxy: &Proxy, headers: &str) -> Message {
    let mut client = Wire::connect(proxy.address).await;
    client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n")).await
}

/// What a browser would keep: the cookie of the answer, or what it had.
struct Browser {
    cookie: Option<String>,
    /// How often it was given one.
    given: usize,
}

impl Browser {
    fn new() -> Self {
        Self { cookie: None, given: 0 }
    }

    /// Who answers.
    async fn ask(&mut self, proxy: &Proxy) -> String {
        let cookie = self.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n"));
        let answer = ask(proxy, &cookie.unwrap_or_default()).await;
        for set in answer.all("set-cookie") {
            let (pair, _) = set.split_once(';').unwrap();
            self.cookie = Some(pair.to_owned());
            self.given += 1;
        }
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.text().to_owned()
    }
}

/// So many that came once, and who answered them.
async fn browsers(proxy: &Proxy, count: usize) -> Vec<(Browser, String)> {
    let mut browsers = Vec::new();
    for _ in 0..count {
        let mut browser = Browser::new();
        let home = browser.ask(proxy).await;
        browsers.push((browser, home));
    }
    browsers
}

/// What an operator is answered: the status and the text.
async fn operate(socket: &Path, request: &str, content: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = content.len();
    let request =
        format!("{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{content}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), text.to_owned())
}

#[tokio::test]
async fn a_cookie_brings_its_session_home_and_is_not_passed_on() {
    let played = Backend::played().await;
    let proxy = Proxy::start(&[played.http()], &["--sticky", "cookie,name=home,path=/shop"]);
    let mut client = Wire::connect(proxy.address).await;
    let get = "GET / HTTP/1.1\r\nHost: a\r\nCookie: before=1; home=nonsense; after=2\r\n\r\n";
    client.send(get).await;
    let (mut backend, head) = played.request().await;
    assert_eq!(head.all("cookie"), ["before=1; after=2"]);
    let ok = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nSet-Cookie: sid=1\r\nContent-Length: 0\r\n\r\n";
    backend.send(ok).await;
    let answer = client.message().await.unwrap();
    assert_eq!(answer.get("cache-control"), Some("max-age=60, private"));
    let [sid, home] = answer.all("set-cookie")[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(sid, "sid=1");
    let (pair, attributes) = home.split_once("; ").unwrap();
    let attributes: BTreeSet<&str> = attributes.split("; ").collect();
    assert_eq!(attributes, BTreeSet::from(["HttpOnly", "SameSite=Lax", "Path=/shop"]));
    assert!(pair.starts_with("home=") && !pair.contains("127.0.0.1"), "{pair}");

    client
        .send(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {pair}\r\n\r\n"))
        .await;
    let head = backend.head().await.unwrap();
    assert_eq!(head.get("cookie"), None);
    backend.send(ok).await;
    let answer = client.message().await.unwrap();
    assert_eq!(answer.all("set-cookie"), ["sid=1"], "nothing has changed");
    assert_eq!(answer.get("cache-control"), Some("public, max-age=60"));
}

#[tokio::test]
async fn sessions_stay_through_a_drain_and_new_ones_go_elsewhere() {
    let (folder, backends) = (Folder::new(), three().await);
    let socket = folder.path().join("operations");
    let flags = [
        &IN_TURNS[..],
        &["--sticky", "cookie", "--operations", socket.to_str().unwrap()],
    ]
    .concat();
    let proxy = Proxy::start(&backends.each_ref().map(Backend::http), &flags);
    let mut sessions = browsers(&proxy, 30).await;
    let homes = |sessions: &[(Browser, String)]| {
        let mut homes = BTreeMap::new();
        for (_, home) in sessions {
            *homes.entry(home.clone()).or_insert(0) += 1;
        }
        homes
    };
    let counts = |of: &[(&str, usize)]| of.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect();
    assert_eq!(homes(&sessions), counts(&[("a", 10), ("b", 10), ("c", 10)]));

    let b = backends[1].http();
    assert_eq!(operate(&socket, "POST /drain", &b).await, (200, "done\n".to_owned()));
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let told = operate(&socket, "GET /backends", "").await.1;
    assert!(told.contains(&format!("{b} draining")), "{told}");
    for _ in 0..3 {
        for (browser, home) in &mut sessions {
            assert_eq!(browser.ask(&proxy).await, *home);
        }
    }
    let new = browsers(&proxy, 30).await;
    assert_eq!(homes(&new), counts(&[("a", 15), ("c", 15)]));

    // Until the time is over that they have to end.
    let (status, _) = operate(&socket, "POST /drain?within=0s", &b).await;
    assert_eq!(status, 200);
    for (browser, home) in &mut sessions {
        let first = browser.ask(&proxy).await;
        assert_eq!(*home == "b", first != *home, "{home} -> {first}");
        for _ in 0..3 {
            assert_eq!(browser.ask(&proxy).await, first);
        }
        assert_eq!(browser.given, if *home == "b" { 2 } else { 1 });
    }
    assert_eq!(operate(&socket, "POST /undrain", &b).await.0, 200);
    assert_eq!(
        homes(&browsers(&proxy, 30).await),
        counts(&[("a", 10), ("b", 10), ("c", 10)])
    );
    for (request, content, status) in [
        ("POST /drain", "http://nobody", 404),
        ("POST /undrain", &*b, 404),
        ("POST /drain?within=soon", &b, 400),
        ("POST /drain?for=1s", &b, 400),
        ("GET /drain", "", 404),
        ("POST /drain", &"x".repeat(5000), 400),
    ] {
        let answered = operate(&socket, request, content).await;
        assert_eq!(answered.0, status, "{request} {answered:?}");
    }
}

#[tokio::test]
async fn sessions_stay_through_a_restart_if_the_keys_do() {
    let (folder, backends) = (Folder::new(), three().await);
    let urls = backends.each_ref().map(Backend::http);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (old, new) = ("01".repeat(32), "02".repeat(32));
    let (before, after) = (
        file("before", &old),
        file("after", &format!("# new first\n{new}\n{old}\n")),
    );
    let only_new = file("only-new", &new);
    let start = |keys: &str| {
        Proxy::start(
            &urls,
            &[&IN_TURNS[..], &["--sticky", "cookie", "--sticky-keys", keys]].concat(),
        )
    };
    let proxy = start(&before);
    let mut sessions = browsers(&proxy, 6).await;
    // It ends; another has a new key, and one more the new one alone.
    for (keys, given) in [(&before, 1), (&after, 2), (&only_new, 2)] {
        let proxy = start(keys);
        for (browser, home) in &mut sessions {
            assert_eq!(browser.ask(&proxy).await, *home, "{keys}");
            assert_eq!(browser.given, given, "{keys}");
        }
    }
    // Keys of its own are good for nobody else's sessions.
    let proxy = Proxy::start(&urls, &[&IN_TURNS[..], &["--sticky", "cookie"]].concat());
    for (browser, _) in &mut sessions {
        browser.ask(&proxy).await;
        assert_eq!(browser.given, 3);
    }
    assert!(proxy.stderr().contains("no --sticky-keys"), "{}", proxy.stderr());
}

#[tokio::test]
async fn a_session_whose_backend_dies_moves_once_and_stays() {
    for way in ["cookie", "learned:sid"] {
        let [a, b, c] =
            [("a", "sid=of-a"), ("b", "sid=of-b"), ("c", "sid=of-c")].map(|(name, cookie)| (name, cookie.to_owned()));
        let start = async |(name, cookie): (&'static str, String)| {
            // The application gives each new session a cookie of its own; here all of a backend have one.
            let headers = match way {
                "cookie" => String::new(),
                _ => format!("set-cookie: {cookie}; Path=/\r\n"),
            };
            Backend::saying(name, headers).await
        };
        let mut backends: Vec<Backend> = vec![start(a).await, start(b).await, start(c).await];
        let urls: Vec<String> = backends.iter().map(Backend::http).collect();
        let proxy = Proxy::start(&urls, &[&IN_TURNS[..], &["--sticky", way]].concat());
        let mut sessions = browsers(&proxy, 3).await;
        for (browser, home) in &mut sessions {
            assert_eq!(browser.ask(&proxy).await, *home, "{way}");
        }
        let gone = backends.remove(1);
        let address = gone.address;
        drop(gone);
        let (browser, home) = &mut sessions[1];
        assert_eq!(home, "b");
        let next = browser.ask(&proxy).await;
        assert_ne!(next, "b");
        // It comes back, but not for who has moved.
        let _b = Backend::again(address, "b again").await;
        for _ in 0..5 {
            assert_eq!(browser.ask(&proxy).await, next, "{way}");
        }
    }
}

#[tokio::test]
async fn strictly_a_session_is_refused_rather_than_moved() {
    let [a, b, _] = three().await;
    let flags = [&IN_TURNS[..], &["--sticky", "cookie", "--home-lost", "refuse"]].concat();
    let proxy = Proxy::start(&[&a, &b].map(Backend::http), &flags);
    let mut sessions = browsers(&proxy, 2).await;
    drop(b);
    let (browser, home) = &mut sessions[1];
    assert_eq!(home, "b");
    let cookie = format!("Cookie: {}\r\n", browser.cookie.as_ref().unwrap());
    for _ in 0..10 {
        let answer = ask(&proxy, &cookie).await;
        // Once it is ejected nobody has to find out.
        assert!([502, 503].contains(&answer.status()), "{answer:?}");
        assert_eq!(answer.get("set-cookie"), None);
    }
    assert_eq!(ask(&proxy, &cookie).await.status(), 503);
    assert_eq!(sessions[0].0.ask(&proxy).await, "a");
}

#[tokio::test]
async fn a_client_stays_by_its_address_also_behind_trusted_proxies() {
    let backends = three().await;
    let urls = backends.each_ref().map(Backend::http);
    let homes = async |flags: &[&str]| {
        let proxy = Proxy::start(&urls, flags);
        let mut homes = BTreeMap::<u8, String>::new();
        for client in (0..40).chain(0..40) {
            // What is not well formed, and what is before it, is a client's own.
            let odd = ["", "<x>, ", "1.1.1.1, "][usize::from(client) % 3];
            let answer = ask(&proxy, &format!("X-Forwarded-For: {odd}203.0.113.{client}\r\n")).await;
            let home = homes.entry(client).or_insert_with(|| answer.text().to_owned());
            assert_eq!(home, answer.text());
        }
        homes.into_values().collect::<BTreeSet<String>>().len()
    };
    assert_eq!(homes(&["--sticky", "source"]).await, 1, "nobody is believed");
    assert_eq!(homes(&["--sticky", "source", "--trust", "127.0.0.0/8"]).await, 3);
    assert_eq!(
        homes(&["--sticky", "source", "--strategy", "rendezvous", "--trust", "127.0.0.1"]).await,
        3
    );
}

#[tokio::test]
async fn a_header_is_a_session() {
    let backends = three().await;
    let proxy = Proxy::start(&backends.each_ref().map(Backend::http), &["--sticky", "header:x-user"]);
    let mut homes = BTreeMap::<u8, String>::new();
    for user in (0..40).chain(0..40) {
        let answer = ask(&proxy, &format!("X-User: {user}\r\n")).await;
        let home = homes.entry(user).or_insert_with(|| answer.text().to_owned());
        assert_eq!(home, answer.text());
    }
    assert_eq!(homes.into_values().collect::<BTreeSet<String>>().len(), 3);
}

#[tokio::test]
async fn for_a_time_a_session_is_a_guest_until_its_backend_is_back() {
    let [a, b, _] = three().await;
    let flags = [&IN_TURNS[..], &["--sticky", "cookie", "--home-lost", "1h"]].concat();
    let proxy = Proxy::start(&[&a, &b].map(Backend::http), &flags);
    let mut sessions = browsers(&proxy, 2).await;
    let address = b.address;
    drop(b);
    let (browser, home) = &mut sessions[1];
    assert_eq!(home, "b");
    for _ in 0..3 {
        assert_eq!(browser.ask(&proxy).await, "a");
    }
    let _b = Backend::again(address, "b again").await;
    assert_eq!(browser.ask(&proxy).await, "b again");
    assert_eq!(browser.given, 1);
}

#[tokio::test]
async fn the_cookie_is_as_it_was_said() {
    let a = Backend::named("a").await;
    for (said, attributes) in [
        ("cookie", &["HttpOnly", "SameSite=Lax", "Path=/"][..]),
        (
            "cookie,domain=shop.example,same-site=strict",
            &["HttpOnly", "SameSite=Strict", "Path=/", "Domain=shop.example"],
        ),
        (
            "cookie,secure,same-site=none,path=/x",
            &["HttpOnly", "SameSite=None", "Secure", "Path=/x"],
        ),
    ] {
        let proxy = Proxy::start(&[a.http()], &["--sticky", said]);
        let answer = ask(&proxy, "").await;
        let (_, told) = answer.get("set-cookie").unwrap().split_once("; ").unwrap();
        let told: BTreeSet<&str> = told.split("; ").collect();
        assert_eq!(told, attributes.iter().copied().collect(), "{said}");
    }
    // A token of another pool is none.
    let folder = Folder::new();
    let keys = folder.path().join("keys");
    fs::write(&keys, "03".repeat(32)).unwrap();
    let start = |pool: &str| {
        let flags = [
            "--sticky",
            &format!("cookie,pool={pool}"),
            "--sticky-keys",
            keys.to_str().unwrap(),
        ];
        Proxy::start(&[a.http()], &flags)
    };
    let mut browser = Browser::new();
    for (pool, given) in [("shop", 1), ("shop", 1), ("blog", 2)] {
        browser.ask(&start(pool)).await;
        assert_eq!(browser.given, given, "{pool}");
    }
}

#[tokio::test]
async fn a_socket_takes_the_place_of_one_that_nobody_listens_at_and_of_nothing_else() {
    let (folder, a) = (Folder::new(), Backend::named("a").await);
    let path = |name: &str| folder.path().join(name);
    let (file, socket) = (path("file"), path("socket"));
    fs::write(&file, "dear").unwrap();
    let start = |at: &Path| {
        let backend = a.http();
        let flags = [
            "--listen",
            "127.0.0.1:0",
            "--backend",
            &backend,
            "--operations",
            at.to_str().unwrap(),
        ];
        Program::start(&mut command(&flags)).output()
    };
    let ended = start(&file);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(1) && told.contains("no socket"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "dear");

    let proxy = Proxy::start(&[a.http()], &["--operations", socket.to_str().unwrap()]);
    let listens = async || {
        soon(async {
            while UnixStream::connect(&socket).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        operate(&socket, "GET /backends", "").await.0 == 200
    };
    assert!(listens().await);
    let told = String::from_utf8(start(&socket).stderr).unwrap();
    assert!(told.contains("somebody else listens"), "{told}");
    assert!(listens().await, "another process has taken its place");
    // One that was killed leaves its socket behind.
    proxy.signal("KILL");
    proxy.end().await;
    assert!(fs::exists(&socket).unwrap());
    let proxy = Proxy::start(&[a.http()], &["--operations", socket.to_str().unwrap()]);
    assert!(listens().await);
    proxy.signal("TERM");
    proxy.end().await;
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "something is left behind"
    );
}
