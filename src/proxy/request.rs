//! A request made fit for a backend.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{CONNECTION, COOKIE, EXPECT, HOST, MAX_FORWARDS, TE, VIA},
    request,
};
use http_body::Body;
use hyper::upgrade::OnUpgrade;

use super::{
    UpstreamBody,
    forwarded::Client,
    framing::Framing,
    hop, interim,
    refusal::Refusal,
    settings::{Settings, via},
    target, upgrade,
    upload::UploadWatch,
};
use crate::server::Connection;

/// What is to be known of a request when its response comes.
pub(super) struct Exchange {
    pub(super) to_head: bool,
    /// The version that it came in.
    pub(super) version: Version,
    pub(super) upload: Option<UploadWatch>,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) tunnel_idle: Duration,
}

/// Another protocol that the client would change to.
pub(super) struct Upgrade {
    pub(super) protocols: HeaderValue,
    pub(super) client: OnUpgrade,
    pub(super) connection: Option<Connection>,
}

/// Applies the rules, in the order in which they build on each other.
pub(super) fn prepare<D: Body>(
    mut request: Request<D>,
    settings: &Settings,
) -> Result<(Request<UpstreamBody<D>>, Exchange), Refusal> {
    let connection = request.extensions().get::<Connection>().cloned();
    let client = request.extensions_mut().remove::<OnUpgrade>();
    let (mut head, body) = request.into_parts();
    let (to_head, version) = (head.method == Method::HEAD, head.version);

    // As the client sent it: whom it is for, how it is framed, what it wants of this hop.
    check_method(&head)?;
    let host = target::host(&head)?;
    let framing = Framing::of(&head, &body.size_hint())?;
    let expects = expects(&mut head, body.is_end_stream())?;
    // Behind the checks: what is answered here has to have one reading as well.
    count_hop(&mut head)?;
    let protocols = upgrade::asked(&head, body.is_end_stream());
    let takes_trailers = hop::has_member(&head.headers, &TE, "trailers");

    // As the backend gets it.
    hop::strip(&mut head.headers);
    framing.write(&mut head.headers);
    if takes_trailers {
        // Of this hop only, so it is asked for anew (RFC 9110 §10.1.4).
        head.headers.insert(TE, HeaderValue::from_static("trailers"));
        head.headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    let upgrade = protocols.zip(client).map(|(protocols, client)| {
        upgrade::write(&mut head.headers, protocols.clone());
        let connection = connection.clone();
        Upgrade {
            protocols,
            client,
            connection,
        }
    });
    let peer = (connection.as_ref()).map(|connection| connection.peer().ip().to_canonical());
    let introduction = Client {
        peer,
        trusted: peer.is_some_and(|peer| settings.trusts(peer)),
        host: host.as_ref(),
    };
    introduction.introduce(&mut head.headers);
    head.headers.append(VIA, via(version));
    join_cookies(&mut head.headers);
    if let Some(host) = host {
        head.headers.insert(HOST, host);
    }
    head.version = Version::HTTP_11;

    let patience = expects.then_some(settings.continue_wait);
    let (body, upload) = UpstreamBody::watched(body, settings.upload_gap, patience);
    let mut request = Request::from_parts(head, body);
    let held = upload.as_ref().filter(|_| expects).map(UploadWatch::hold);
    // Clients of HTTP/1.0 know of no interim responses.
    interim::pass(&mut request, connection.filter(|_| version > Version::HTTP_10), held);
    let exchange = Exchange {
        to_head,
        version,
        upload,
        upgrade,
        tunnel_idle: settings.tunnel_idle,
    };
    Ok((request, exchange))
}

/// Refuses what is not passed on at all.
fn check_method(head: &request::Parts) -> Result<(), Refusal> {
    // The one would make an open relay of the proxy, the other would show what is added on the way (RFC 9110 §9.3.8).
    match head.method {
        Method::CONNECT | Method::TRACE => Err(Refusal::METHOD),
        _ => Ok(()),
    }
}

/// Counts this hop (RFC 9110 §7.6.2).
fn count_hop(head: &mut request::Parts) -> Result<(), Refusal> {
    let left = head
        .headers
        .get(MAX_FORWARDS)
        .filter(|_| head.method == Method::OPTIONS);
    match left.and_then(|left| left.to_str().ok()?.parse::<u32>().ok()) {
        Some(0) => Err(Refusal::HERE),
        Some(left) => {
            head.headers.insert(MAX_FORWARDS, HeaderValue::from(left - 1));
            Ok(())
        }
        // Not there, or no number, which may be ignored.
        None => Ok(()),
    }
}

/// HTTP/2 may send cookies in several lines, HTTP/1.1 in one only (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_some() && lines.next().is_some() {
        let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(line) = HeaderValue::try_from(lines.join(&b"; "[..])) {
            headers.insert(COOKIE, line);
        }
    }
}

/// Whether the client waits to be asked for its content (RFC 9110 §10.1.1).
fn expects(head: &mut request::Parts, is_empty: bool) -> Result<bool, Refusal> {
    if !head.headers.contains_key(EXPECT) {
        return Ok(false);
    }
    if !hop::members(&head.headers, &EXPECT).all(|member| member.eq_ignore_ascii_case(b"100-continue")) {
        return Err(Refusal::EXPECTATION);
    }
    // Nothing to wait for; and in HTTP/1.0 it means nothing.
    let expects = !is_empty && head.version > Version::HTTP_10;
    head.headers.remove(EXPECT);
    if expects {
        head.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    Ok(expects)
}
