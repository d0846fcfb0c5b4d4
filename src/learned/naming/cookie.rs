//! Sessions that the application's own cookie names.

use std::time::SystemTime;

use http::{
    Request, Response,
    header::{HeaderValue, SET_COOKIE},
};

use super::{Given, Name, Naming};
use crate::{
    http::{CookieKey, KeyNameError},
    learned::{Learned, Sessions},
};

/// Sessions that the application's own cookie names: what [`Learned::by_cookie`] makes.
#[derive(Clone, Debug)]
pub struct ByCookie(CookieKey);

impl Learned<ByCookie> {
    /// The session of a request is that which the application's own cookie of this name names, such as `JSESSIONID`. It is read
    /// as a [`CookieKey`] reads it: of two the first counts (RFC 6265 §5.4).
    ///
    /// It is learned from the answer that sets it already: the value is bound to whoever has made it. A `Set-Cookie` that
    /// deletes it, by `Max-Age`, by `Expires` or with an empty value, ends the request's session; of several in one answer the
    /// last that sets it counts, or else any that deletes it. Neither cookie is changed.
    ///
    /// ```
    /// use equipoise::{StickyLayer, learned::{Learned, Sessions}};
    ///
    /// let layer = StickyLayer::new(Learned::by_cookie(Sessions::builder().build(), "JSESSIONID")?);
    /// # Ok::<_, equipoise::http::KeyNameError>(())
    /// ```
    ///
    /// # Errors
    /// No cookie can have this name.
    pub fn by_cookie(sessions: Sessions, name: &str) -> Result<Self, KeyNameError> {
        Ok(Self::new(sessions, ByCookie(CookieKey::new(name)?)))
    }
}

impl ByCookie {
    /// The cookie's name.
    pub fn name(&self) -> &str {
        self.0.name()
    }
}

impl<D, E> Naming<Request<D>, Response<E>> for ByCookie {
    #[inline]
    fn named<'a>(&self, request: &'a Request<D>) -> Option<Name<'a>> {
        self.0.value(request.headers()).map(Name::from)
    }

    fn is_told_by_answers(&self) -> bool {
        true
    }

    #[inline]
    fn given<'a>(&self, answer: &'a Response<E>) -> Given<'a> {
        let mut given = Given::Nothing;
        let lines = answer.headers().get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes);
        for said in lines.filter_map(|line| said(line, self.0.name().as_bytes())) {
            given = match (given, said) {
                (Given::Name(name), Given::End) => Given::Name(name),
                (_, said) => said,
            };
        }
        given
    }
}

/// What a line of `Set-Cookie` says of the cookie of this name (RFC 6265 §5.2), if anything.
fn said<'a>(line: &'a [u8], name: &[u8]) -> Option<Given<'a>> {
    let mut parts = line.split(|byte| *byte == b';');
    let (set, value) = pair(parts.next()?)?;
    if set != name {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    for part in parts {
        let Some((attribute, value)) = pair(part) else { continue };
        // Of an attribute that is said twice the last counts (§5.3).
        if attribute.eq_ignore_ascii_case(b"max-age") {
            max_age = lives_on(value).or(max_age);
        } else if attribute.eq_ignore_ascii_case(b"expires") {
            expires = date(value).or(expires);
        }
    }
    let lives = max_age.unwrap_or_else(|| {
        let now = || date(httpdate::fmt_http_date(SystemTime::now()).as_bytes());
        expires.is_none_or(|expires| Some(expires) > now())
    });
    let value = match value {
        [b'"', within @ .., b'"'] => within,
        _ => value,
    };
    Some(match lives && !value.is_empty() {
        true => Given::Name(value.into()),
        false => Given::End,
    })
}

/// Both sides of the first `=`, without white space around them.
fn pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.iter().position(|byte| *byte == b'=')?;
    Some((part[..at].trim_ascii(), part[at + 1..].trim_ascii()))
}

/// Whether a cookie of this `Max-Age` is kept (RFC 6265 §5.2.2); none if that is no number.
fn lives_on(max_age: &[u8]) -> Option<bool> {
    let (is_negative, digits) = match max_age {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let is_number = digits.iter().all(u8::is_ascii_digit) && (is_negative || !digits.is_empty());
    is_number.then(|| !is_negative && digits.iter().any(|digit| *digit != b'0'))
}

/// Year, month, day, hour, minute, second.
type Date = [u32; 6];

/// A date as user agents read it (RFC 6265 §5.1.1), which is in many more forms than any standard has.
fn date(text: &[u8]) -> Option<Date> {
    let is_delimiter = |byte: &u8| matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e);
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        // The first that can be one is one, each looked for in this order.
        if time.is_none() && time_of(token).is_some() {
            time = time_of(token);
        } else if day.is_none() && number(token, 1..=2).is_some() {
            day = number(token, 1..=2);
        } else if month.is_none() && month_of(token).is_some() {
            month = month_of(token);
        } else if year.is_none() {
            year = number(token, 2..=4);
        }
    }
    let ([hour, minute, second], day, month) = (time?, day?, month?);
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let is_date = (1..=31).contains(&day) && year >= 1601 && hour <= 23 && minute <= 59 && second <= 59;
    is_date.then_some([year, month, day, hour, minute, second])
}

/// The number that a token begins with, of so many digits.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let count = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = |value, digit: &u8| value * 10 + u32::from(digit - b'0');
    digits.contains(&count).then(|| token[..count].iter().fold(0, value))
}

fn time_of(token: &[u8]) -> Option<[u32; 3]> {
    let mut fields = token.splitn(3, |byte| *byte == b':');
    let mut field = |is_last: bool| {
        let field = fields.next()?;
        let is_whole = is_last || field.iter().all(u8::is_ascii_digit);
        number(field, 1..=2).filter(|_| is_whole)
    };
    Some([field(false)?, field(false)?, field(true)?])
}

fn month_of(token: &[u8]) -> Option<u32> {
    const MONTHS: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
    ];
    let begins = token.get(..3)?;
    let at = MONTHS.iter().position(|month| begins.eq_ignore_ascii_case(month))?;
    Some(at as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(lines: &[&[u8]]) -> Option<Option<Vec<u8>>> {
        let mut answer = Response::new(());
        for line in lines {
            let value = HeaderValue::from_bytes(line).unwrap();
            answer.headers_mut().append(SET_COOKIE, value);
        }
        let naming = ByCookie(CookieKey::new("sid").unwrap());
        match Naming::<Request<()>, _>::given(&naming, &answer) {
            Given::Nothing => None,
            Given::Name(name) => Some(Some(name.to_vec())),
            Given::End => Some(None),
        }
    }

    #[test]
    fn what_is_set_names_the_session() {
        for (line, value) in [
            (&b"sid=1"[..], &b"1"[..]),
            (b"sid=1; Path=/; HttpOnly; SameSite=Lax", b"1"),
            (b" sid =\t1 ;Secure", b"1"),
            (b"sid=a=b; Max-Age=1", b"a=b"),
            (b"sid=\"1\"", b"1"),
            (b"sid=\"", b"\""),
            (b"sid=\xff\xfe", b"\xff\xfe"),
            // It lives by Max-Age, whatever Expires says; what is no number or no date is not said.
            (b"sid=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", b"1"),
            (b"sid=1; max-age=0; Max-Age=60", b"1"),
            (b"sid=1; Max-Age=", b"1"),
            (b"sid=1; Max-Age=+0", b"1"),
            (b"sid=1; Max-Age=0x", b"1"),
            (b"sid=1; Max-Age=99999999999999999999999999", b"1"),
            (b"sid=1; Expires=never", b"1"),
            (b"sid=1; Expires=Thu, 01 Jan 9999 00:00:00 GMT", b"1"),
            (b"sid=1; Expires=Thu, 32 Jan 1970 00:00:00 GMT", b"1"),
        ] {
            let text = String::from_utf8_lossy(line);
            assert_eq!(given(&[line]), Some(Some(value.to_vec())), "{text}");
        }
    }

    #[test]
    fn what_is_deleted_ends_the_session() {
        for line in [
            &b"sid="[..],
            b"sid=\"\"; Path=/",
            b"sid=; Max-Age=60",
            b"sid=1; Max-Age=0",
            b"sid=1; max-age=-1; Expires=Thu, 01 Jan 9999 00:00:00 GMT",
            b"sid=1; MAX-AGE=-",
            b"sid=1; Max-Age=60; Max-Age=000",
            b"sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            // As servlets, PHP and others have it.
            b"sid=1; expires=Thu, 01-Jan-1970 00:00:10 GMT",
            b"sid=deleted; expires=Thu, 01-Jan-70 00:00:01 GMT; path=/",
            b"sid=1; Expires=Sunday, 06-Nov-94 08:49:37 GMT",
            b"sid=1; Expires=Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(given(&[line]), Some(None), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn other_cookies_say_nothing_and_of_several_the_last_that_sets_counts() {
        for line in [&b""[..], b"sid", b"SID=1", b"xsid=1", b"a=1; sid=2", b"=sid", b";sid=1"] {
            assert_eq!(given(&[line]), None, "{}", String::from_utf8_lossy(line));
        }
        let (one, two, gone) = (&b"sid=1"[..], &b"sid=2"[..], &b"sid=; Max-Age=0; Path=/old"[..]);
        assert_eq!(given(&[one, b"a=0", two]), Some(Some(b"2".to_vec())));
        assert_eq!(given(&[gone, one]), Some(Some(b"1".to_vec())));
        assert_eq!(given(&[one, gone]), Some(Some(b"1".to_vec())));
        assert_eq!(given(&[gone, b"a=0"]), Some(None));
        assert_eq!(given(&[]), None);
    }

    /// Each of the forms of RFC 9110 §5.6.7, and what else is to be met.
    #[test]
    fn dates_are_read_as_user_agents_do() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 november 94 8:49:37",
            "08:49:37x 6th Nov 1994 UTC",
        ] {
            assert_eq!(date(text.as_bytes()), Some([1994, 11, 6, 8, 49, 37]), "{text}");
        }
        assert_eq!(date(b"1 Jan 69 0:0:0").map(|date| date[0]), Some(2069));
        assert_eq!(date(b"1 Jan 70 0:0:0").map(|date| date[0]), Some(1970));
        for text in [
            "",
            "0",
            "1 Jan 1600 0:0:0",
            "1 Jan 2000 24:0:0",
            "1 Jan 2000 0:0",
            "1 Jan 0:0:0",
            "99999 Jan 1 0:0:0",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
    }
}
