//! The cookie as browsers see it.

use equipoise::cookie::{CookieError, SameSite};

use super::*;

/// All of the line but the token.
fn attributes(builder: CookieBuilder) -> String {
    let cookie = builder.build().unwrap();
    let (session, _) = located(&cookie, &mut Request::new(()));
    let (headers, _) = bound(session, Served::new("a"), HeaderMap::new());
    let [line] = set(&headers)[..] else {
        panic!("{headers:?}")
    };
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    let (name, token) = pair.split_once('=').unwrap();
    assert_eq!(token.len(), 146, "{token}");
    // It comes back as it went.
    assert_eq!(home(&cookie, &[pair.as_bytes()]).as_deref(), Some("a"));
    // And a browser reads what was meant.
    let read = ::cookie::Cookie::parse(line).unwrap();
    assert_eq!((read.name(), read.value()), (name, token));
    format!("{name};{attributes}")
}

#[test]
fn attributes_are_as_they_were_said() {
    let of = || builder(&Wall::new());
    for (builder, expected) in [
        (of(), "equipoise; HttpOnly; SameSite=Lax; Path=/"),
        (of().http_only(false), "equipoise; SameSite=Lax; Path=/"),
        (of().secure(true), "equipoise; HttpOnly; SameSite=Lax; Secure; Path=/"),
        (
            of().same_site(SameSite::Strict),
            "equipoise; HttpOnly; SameSite=Strict; Path=/",
        ),
        (
            of().same_site(SameSite::None).secure(true),
            "equipoise; HttpOnly; SameSite=None; Secure; Path=/",
        ),
        (
            of().same_site(SameSite::None).secure(true).partitioned(true),
            "equipoise; HttpOnly; SameSite=None; Partitioned; Secure; Path=/",
        ),
        (of().path("/app/"), "equipoise; HttpOnly; SameSite=Lax; Path=/app/"),
        (
            of().domain("example.com"),
            "equipoise; HttpOnly; SameSite=Lax; Path=/; Domain=example.com",
        ),
        // RFC 6265 §5.2.3: a dot before it means nothing.
        (
            of().domain(".example.com"),
            "equipoise; HttpOnly; SameSite=Lax; Path=/; Domain=example.com",
        ),
        (
            of().max_age(MINUTE * 33),
            "equipoise; HttpOnly; SameSite=Lax; Path=/; Max-Age=1980",
        ),
        // No session is as long as that.
        (
            of().idle(LIFETIME).max_age(LIFETIME),
            "equipoise; HttpOnly; SameSite=Lax; Path=/; Max-Age=86400",
        ),
        (of().name("sid.1~"), "sid.1~; HttpOnly; SameSite=Lax; Path=/"),
        (
            of().name("__Host-sid").secure(true),
            "__Host-sid; HttpOnly; SameSite=Lax; Secure; Path=/",
        ),
        (
            of().name("__Secure-sid").secure(true).path("/x").domain("a.b"),
            "__Secure-sid; HttpOnly; SameSite=Lax; Secure; Path=/x; Domain=a.b",
        ),
    ] {
        assert_eq!(attributes(builder), expected);
    }
}

#[test]
fn what_no_browser_would_keep_is_not_made() {
    let of = || builder(&Wall::new());
    let long = "x".repeat(257);
    for name in [
        "",
        "a b",
        "a=b",
        "a;b",
        "a,b",
        "a\"b",
        "ä",
        "a\n",
        "a\u{7f}",
        "(a)",
        "a/b",
        long.as_str(),
    ] {
        let error = of().name(name).build().unwrap_err();
        assert_eq!(error, CookieError::Name(name.to_owned()));
        let message = error.to_string();
        assert!(message.len() < 250 && !message.contains('\n'), "{message}");
    }
    let long = format!("/{}", "x".repeat(1024));
    for path in ["", "a", "/a;b", "/\n", "/ä", "/a ", long.as_str()] {
        assert_eq!(of().path(path).build().unwrap_err(), CookieError::Path(path.to_owned()));
    }
    for domain in [
        "",
        ".",
        "a..b",
        "a b",
        "a;b",
        "http://a",
        "a/",
        "ä.de",
        "..a",
        &format!("{}.a", "x".repeat(64)),
    ] {
        let error = of().domain(domain).build().unwrap_err();
        assert!(matches!(error, CookieError::Domain(_)), "{domain}: {error}");
    }
    for (builder, expected) in [
        (
            of().same_site(SameSite::None),
            "a cookie with SameSite=None needs Secure",
        ),
        (of().partitioned(true), "a cookie with Partitioned needs Secure"),
        (
            of().name("__Secure-a"),
            "a cookie whose name begins with __Secure- needs Secure",
        ),
        (
            of().name("__secure-a"),
            "a cookie whose name begins with __Secure- needs Secure",
        ),
        (
            of().name("__Host-a"),
            "a cookie whose name begins with __Host- needs Secure",
        ),
        (
            of().name("__hOST-a").secure(true).path("/x"),
            "a cookie whose name begins with __Host- needs the path / and no domain",
        ),
        (
            of().name("__Host-a").secure(true).domain("a.b"),
            "a cookie whose name begins with __Host- needs the path / and no domain",
        ),
        (
            of().name("__Http-a").secure(true).http_only(false),
            "a cookie whose name begins with __Http- needs HttpOnly",
        ),
        (
            of().name("__Host-Http-a").secure(true).http_only(false),
            "a cookie whose name begins with __Host-Http- needs HttpOnly",
        ),
        (
            of().name("__Host-Http-a").secure(true).path("/x"),
            "a cookie whose name begins with __Host-Http- needs the path / and no domain",
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    }
}

#[test]
fn times_that_lose_sessions_are_refused() {
    let of = || builder(&Wall::new());
    let second = Duration::from_secs(1);
    for builder in [
        of().idle(second - Duration::from_millis(1)),
        of().lifetime(Duration::ZERO),
    ] {
        assert!(matches!(builder.build(), Err(CookieError::TooShort { .. })));
    }
    assert!(of().idle(second).lifetime(second).build().is_ok());
    for (builder, is_good) in [
        (of().max_age(MINUTE * 33), true),
        (of().max_age(MINUTE * 33 - Duration::from_millis(1)), false),
        (of().max_age(Duration::ZERO), false),
        (of().max_age(Duration::MAX), false),
        (of().idle(Duration::MAX).max_age(LIFETIME), true),
        (of().idle(Duration::MAX).max_age(LIFETIME - second), false),
        (of().lifetime(MINUTE).max_age(MINUTE), true),
    ] {
        let built = builder.build();
        assert_eq!(built.is_ok(), is_good, "{built:?}");
    }
}
