//! Text from outside: what is read as a strategy, an endpoint or an origin is what it prints, and nothing panics.

use std::{collections::HashSet, net::SocketAddr};

use equipoise::{Backend, Endpoint, Strategy};

/// One text, as every kind of thing that is read from text.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    strategy(text);
    endpoint(text);
    #[cfg(feature = "http")]
    origin(text);
}

fn strategy(text: &str) {
    match text.parse::<Strategy>() {
        Ok(strategy) => {
            let printed = strategy.to_string();
            assert_eq!(
                printed.parse().as_ref(),
                Ok(&strategy),
                "{text:?} is printed as {printed:?}"
            );
            assert!(printed.starts_with(strategy.name()));
            // It can be made as well, whatever its numbers.
            let _ = strategy.selector::<Endpoint<()>>();
        }
        // An error that names neither what was given nor what is allowed helps nobody.
        Err(error) => {
            assert!(error.to_string().contains("expected"), "{text:?}: {error}");
            is_short(&error.to_string());
        }
    }
}

fn endpoint(text: &str) {
    match text.parse::<Endpoint<SocketAddr>>() {
        Ok(endpoint) => {
            let written = written(&endpoint);
            let read: Result<Endpoint<SocketAddr>, _> = written.parse();
            assert_eq!(read.as_ref(), Ok(&endpoint), "{text:?} is written as {written:?}");
            assert!(!endpoint.id().is_empty(), "{text:?} has no id");
        }
        Err(error) => {
            let fields = HashSet::from(["target", "id", "weight", "priority", "locality", "field"]);
            assert!(fields.contains(error.field()), "{text:?}: {error}");
            assert!(error.to_string().starts_with("invalid "), "{text:?}: {error}");
            is_short(&error.to_string());
        }
    }
}

/// A message is one line that can be read, whatever it is about.
fn is_short(message: &str) {
    assert!(!message.contains(char::is_control), "{message:?}");
    assert!(message.chars().count() < 400, "{message:?}");
}

/// The text that an endpoint is read from.
fn written(endpoint: &Endpoint<SocketAddr>) -> String {
    let mut text = format!(
        "{},id={},weight={},priority={}",
        endpoint.target(),
        endpoint.id(),
        endpoint.weight(),
        endpoint.priority()
    );
    if let Some(locality) = endpoint.locality() {
        text += &format!(",locality={}/{}", locality.region(), locality.zone());
    }
    text
}

#[cfg(feature = "http")]
fn origin(text: &str) {
    use equipoise::http::Origin;
    match text.parse::<Origin>() {
        Ok(origin) => {
            let printed = origin.to_string();
            let read: Option<Origin> = printed.parse().ok();
            assert_eq!(read.as_ref(), Some(&origin), "{text:?} is printed as {printed:?}");
            assert!(!origin.authority().host().is_empty(), "{text:?} has no host");
        }
        Err(error) => assert!(error.to_string().starts_with("expected "), "{text:?}: {error}"),
    }
}
