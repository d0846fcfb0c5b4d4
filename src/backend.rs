//! A backend: one thing that can serve a request.

use std::{
    fmt::{self, Write},
    str::FromStr,
    sync::Arc,
};

use crate::{excerpt::Excerpt, readiness::Readiness};

/// One thing that can serve a request.
///
/// The [`id`](Backend::id) alone is its identity: everything else may change under the same id, and health,
/// history and live counts stay.
pub trait Backend: Send + Sync + 'static {
    /// A stable name, unique within a pool. Of two backends with one id the later replaces the earlier.
    fn id(&self) -> &str;

    /// The share of this backend relative to the others, 1 unless said otherwise. With 0 it stays a member and
    /// finishes what is open, and is sent nothing new.
    fn weight(&self) -> u32 {
        1
    }

    /// 0 serves first, 1 is its backup, and so on. The lowest priority that has a member with a weight serves; while too
    /// few of its members are [fit](crate::health), what they are not able to take goes to the next.
    fn priority(&self) -> u8 {
        0
    }

    /// Where it stands, for pools that [prefer the near](crate::PoolBuilder::locality).
    fn locality(&self) -> Option<&Locality> {
        None
    }

    /// Its own word on whether it takes a request just now; none: always. Asked for when it becomes a member and at each
    /// publish, seen at each pick; it has to be the same each time, as only the first is told whom to wake. Picks of a
    /// pool that has such members look at each member that they consider.
    fn readiness(&self) -> Option<&Readiness> {
        None
    }
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn id(&self) -> &str {
        (**self).id()
    }
    fn weight(&self) -> u32 {
        (**self).weight()
    }
    fn priority(&self) -> u8 {
        (**self).priority()
    }
    fn locality(&self) -> Option<&Locality> {
        (**self).locality()
    }
    fn readiness(&self) -> Option<&Readiness> {
        (**self).readiness()
    }
}

/// Where a backend or a client stands: a region and, within it, a zone. Either may be empty: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    region: String,
    zone: String,
}

impl Locality {
    /// A place by region and zone, such as `("eu-west", "eu-west-1a")`.
    pub fn new(region: impl Into<String>, zone: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            zone: zone.into(),
        }
    }

    /// The region's name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The zone's name.
    pub fn zone(&self) -> &str {
        &self.zone
    }
}

/// `region/zone`, or a region alone.
impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.region)?;
        if !self.zone.is_empty() {
            write!(f, "/{}", self.zone)?;
        }
        Ok(())
    }
}

/// The ready-made backend: a target of any type, an id, a weight, a priority and a locality.
///
/// It is parsed from text as `TARGET[,id=TEXT][,weight=0..4294967295][,priority=0..255][,locality=REGION[/ZONE]]`;
/// without `id` the target's own text is the id.
///
/// ```
/// use equipoise::{Backend, Endpoint};
/// use std::net::SocketAddr;
///
/// let endpoint: Endpoint<SocketAddr> = "127.0.0.1:9001,weight=2".parse()?;
/// assert_eq!((endpoint.id(), endpoint.weight()), ("127.0.0.1:9001", 2));
///
/// let wrong = "127.0.0.1:9001,weight=heavy".parse::<Endpoint<SocketAddr>>().unwrap_err();
/// assert_eq!(wrong.to_string(), "invalid weight 'heavy': expected a whole number from 0 to 4294967295");
/// # Ok::<_, equipoise::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<T> {
    id: String,
    target: T,
    weight: u32,
    priority: u8,
    locality: Option<Locality>,
}

impl<T> Endpoint<T> {
    /// An endpoint of weight 1 and priority 0.
    pub fn new(id: impl Into<String>, target: T) -> Self {
        Self {
            id: id.into(),
            target,
            weight: 1,
            priority: 0,
            locality: None,
        }
    }

    /// Sets the [weight](Backend::weight).
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the [priority](Backend::priority).
    pub fn with_priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the [locality](Backend::locality).
    pub fn with_locality(mut self, locality: Locality) -> Self {
        self.locality = Some(locality);
        self
    }

    /// What requests are sent to.
    pub fn target(&self) -> &T {
        &self.target
    }
}

impl<T: Send + Sync + 'static> Backend for Endpoint<T> {
    fn id(&self) -> &str {
        &self.id
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn priority(&self) -> u8 {
        self.priority
    }
    fn locality(&self) -> Option<&Locality> {
        self.locality.as_ref()
    }
}

impl<T> AsRef<T> for Endpoint<T> {
    fn as_ref(&self) -> &T {
        &self.target
    }
}

impl<T: FromStr<Err: fmt::Display>> FromStr for Endpoint<T> {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let mut fields = text.split(',').map(str::trim);
        let target = fields.next().unwrap_or_default();
        let parsed = target
            .parse()
            .map_err(|why: T::Err| EndpointError::new("target", target, why.to_string()))?;
        let mut endpoint = Self::new(target, parsed);
        let mut names = Vec::new();
        for field in fields {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            if names.contains(&name) {
                return Err(EndpointError::new("field", field, format!("expected {name}= once")));
            }
            names.push(name);
            match name {
                "id" if !value.is_empty() => endpoint.id = value.to_owned(),
                "id" => return Err(EndpointError::new("id", value, "expected a text that is not empty")),
                "weight" => endpoint.weight = number("weight", value, u32::MAX)?,
                "priority" => endpoint.priority = number("priority", value, u8::MAX)?,
                "locality" if !value.trim_matches('/').is_empty() => {
                    let (region, zone) = value.split_once('/').unwrap_or((value, ""));
                    endpoint.locality = Some(Locality::new(region, zone));
                }
                "locality" => return Err(EndpointError::new("locality", value, "expected REGION or REGION/ZONE")),
                _ => {
                    let allowed = "expected id=, weight=, priority= or locality=";
                    return Err(EndpointError::new("field", field, allowed));
                }
            }
        }
        if endpoint.id.is_empty() {
            return Err(EndpointError::new(
                "target",
                target,
                "expected a text that is not empty",
            ));
        }
        Ok(endpoint)
    }
}

fn number<N: FromStr + fmt::Display>(field: &'static str, value: &str, most: N) -> Result<N, EndpointError> {
    // `+7` would parse; nobody means it.
    Some(value)
        .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| EndpointError::new(field, value, format!("expected a whole number from 0 to {most}")))
}

/// A text that is no [`Endpoint`]: which field, its value, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointError {
    field: &'static str,
    value: String,
    allowed: String,
}

impl EndpointError {
    fn new(field: &'static str, value: &str, allowed: impl Into<String>) -> Self {
        Self {
            field,
            value: value.to_owned(),
            allowed: allowed.into(),
        }
    }

    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {} {}: ", self.field, Excerpt(&self.value))?;
        // What is wrong with a target is said by its own type, which may repeat what it was given.
        self.allowed.chars().try_for_each(|c| match c.is_control() {
            true => c.escape_debug().try_for_each(|c| f.write_char(c)),
            false => f.write_char(c),
        })
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn every_field_is_read() {
        let text = "[::1]:80, id=a, weight=0, priority=255, locality=eu/eu-1";
        let endpoint: Endpoint<SocketAddr> = text.parse().unwrap();
        assert_eq!(endpoint.id(), "a");
        assert_eq!(endpoint.weight(), 0);
        assert_eq!(endpoint.priority(), 255);
        assert_eq!(endpoint.locality().unwrap().to_string(), "eu/eu-1");
        assert_eq!(endpoint.target().port(), 80);
    }

    #[test]
    fn every_wrong_field_is_named() {
        for (text, field) in [
            ("", "target"),
            ("nowhere", "target"),
            ("1.2.3.4:80,weight=", "weight"),
            ("1.2.3.4:80,weight=-1", "weight"),
            ("1.2.3.4:80,weight=+1", "weight"),
            ("1.2.3.4:80,weight=4294967296", "weight"),
            ("1.2.3.4:80,priority=256", "priority"),
            ("1.2.3.4:80,id=", "id"),
            ("1.2.3.4:80,locality=", "locality"),
            ("1.2.3.4:80,locality=/", "locality"),
            ("1.2.3.4:80,wieght=1", "field"),
            ("1.2.3.4:80,weight=1,weight=2", "field"),
            ("1.2.3.4:80,", "field"),
        ] {
            let error = text.parse::<Endpoint<SocketAddr>>().unwrap_err();
            assert_eq!(error.field(), field, "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line_that_is_not_long() {
        let long = "x".repeat(100_000);
        for text in [
            "\u{1b}[2J\n".to_owned(),
            "1.2.3.4:80,weight=\u{1b}[2J\n1".to_owned(),
            "1.2.3.4:80,\u{1b}[2J\n=1".to_owned(),
            long.clone(),
            format!("1.2.3.4:80,weight={long}"),
            format!("1.2.3.4:80,{long}={long}"),
        ] {
            let told = text.parse::<Endpoint<SocketAddr>>().unwrap_err().to_string();
            assert!(!told.contains(char::is_control), "{told:?}");
            assert!(told.chars().count() < 200, "{} characters", told.chars().count());
        }
    }

    #[test]
    fn what_a_target_says_of_itself_stays_in_the_line() {
        #[derive(Debug)]
        struct Repeated;
        impl FromStr for Repeated {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Err(format!("'{text}' is not one"))
            }
        }
        let told = "a\n\u{1b}b".parse::<Endpoint<Repeated>>().unwrap_err().to_string();
        assert_eq!(told, r"invalid target 'a\n\u{1b}b': 'a\n\u{1b}b' is not one");
    }
}
