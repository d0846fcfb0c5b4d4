//! Sessions that stay by a sealed cookie.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use equipoise::{
    SessionAffinity, StickyLayer,
    affinity::{Bind, Located, Served},
    cookie::{Cookie, Keys},
};
use http::{Request, Response, header};
use tower_layer::Layer;

use crate::{balanced, case, headers, measure::ratio::Case};

/// Of a session that is at home in the pool: `equipoise=…`.
fn token(cookie: &Cookie) -> String {
    let mut response = Response::new(());
    let located = SessionAffinity::<_, Response<()>>::locate(cookie, &mut Request::new(()));
    if let Located::Now(mut session, _) = located {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut session).poll_bind(&mut cx, &Served::new("10.0.0.7:8080"), &mut response);
    }
    let set = response
        .headers()
        .get(header::SET_COOKIE)
        .and_then(|set| set.to_str().ok());
    let pair = set.and_then(|set| set.split(';').next());
    pair.unwrap_or_default().to_owned()
}

pub(crate) fn cases(cases: &mut Vec<Case>) {
    let made = Keys::random().map(|keys| Cookie::new("shop", keys));
    let Ok(cookie) = made else { return };
    let token = token(&cookie);
    let others = "theme=dark; _ga=GA1.1.1234567890.1700000000";
    let sticky = || StickyLayer::new(cookie.clone()).layer(balanced());
    let plain = |name: &str, cookies: &str| case(name, balanced(), headers(Some(cookies)));
    cases.extend([
        plain("plain call, the session's cookie", &token),
        case("cookie, session at home", sticky(), headers(Some(&token))).within(450.0),
        plain("plain call, two other cookies before it", &format!("{others}; {token}")),
        case(
            "cookie, session at home, two others before it",
            sticky(),
            headers(Some(&format!("{others}; {token}"))),
        )
        .within(450.0),
        case("cookie, first of a session (sealed and set)", sticky(), headers(None)),
    ]);
}
