//! What an agent beside a backend says of it, in HAProxy's words.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    address::ProbeTarget,
    dial::{Dial, Wire},
    error::{ProbeError, SettingError},
    excerpt::excerpt,
    tls::Alpn,
};
use crate::{
    Backend, HealthProbe,
    health::{Report, Standing},
};

/// Connects to an agent, and reads one line of what it says: HAProxy's agent-check (configuration manual, `agent-check`;
/// haproxy/haproxy, `src/tcpcheck.c`).
///
/// The line ends with CR or LF, and has words between spaces, tabs or commas, in any order and case:
///
/// | word | what comes of it |
/// |---|---|
/// | `up` | the backend passes, as it does without this word |
/// | `down`, `fail` or `failed`, `stopped` | it fails; what follows a `#` says why |
/// | `ready`, `drain`, `maint` | its [standing](Report::with_standing) |
/// | `75%` | its [weight](Report::with_percent), in hundredths of what it has as a backend |
/// | `maxconn:30` | nothing: limits are the pool's |
///
/// Of several of a kind the last counts. Other words are read over, as HAProxy does; a line without any of these is no
/// agent's, and fails. What the agent does not say stays as it was.
///
/// HAProxy asks agents beside its other checks, and takes one that does not answer for no news; here it is a probe as
/// others, and who does not answer fails.
///
/// ```
/// use equipoise::probes::Agent;
/// let probe = Agent::at_port(9999)?.send("cart\n");
/// # Ok::<_, equipoise::probes::SettingError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Agent {
    dial: Dial,
    said: Vec<u8>,
}

/// The most bytes of a line, its end included.
const LONGEST: usize = 1024;

impl Agent {
    /// An agent at the backend's own address.
    pub fn new() -> Self {
        Self::default()
    }

    /// An agent at this port of the backend's host.
    ///
    /// # Errors
    /// It is 0.
    pub fn at_port(port: u16) -> Result<Self, SettingError> {
        let mut agent = Self::new();
        agent.dial.set_port(port)?;
        agent.dial.set_plain();
        Ok(agent)
    }

    /// Sends this first, as HAProxy's `agent-send` does: an agent for many backends learns so of which it is asked. It
    /// brings its own end of the line.
    pub fn send(mut self, text: impl Into<String>) -> Self {
        self.said = text.into().into_bytes();
        self
    }

    async fn ask(&self, target: &(impl ProbeTarget + ?Sized)) -> Result<Report, ProbeError> {
        let mut address = self.dial.place(target.address()?);
        address.is_tls = false;
        let mut wire = self.dial.connect(&address, &address.host(), Alpn::Nothing).await?.wire;
        wire.write_all(&self.said).await?;
        wire.flush().await?;
        read(&line(&mut *wire).await?)
    }
}

/// What comes before the first CR or LF.
async fn line(wire: &mut dyn Wire) -> Result<Vec<u8>, ProbeError> {
    let mut line = Vec::new();
    let mut part = [0; LONGEST];
    loop {
        let room = LONGEST - line.len();
        let count = wire.read(&mut part[..room]).await?;
        line.extend_from_slice(&part[..count]);
        if let Some(end) = line.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            line.truncate(end);
            return Ok(line);
        }
        // The end, or no more room.
        if count == 0 {
            let expected = format!("a line of at most {LONGEST} bytes that ends with CR or LF");
            return Err(ProbeError::unexpected(expected, excerpt(&line)));
        }
    }
}

/// What an agent's line says.
fn read(line: &[u8]) -> Result<Report, ProbeError> {
    // HAProxy sees no `#` within a word; whoever writes `down#full` means it all the same.
    let sharp = line.iter().position(|byte| *byte == b'#');
    let (words, why) = match sharp {
        Some(at) => (&line[..at], line[at + 1..].trim_ascii()),
        None => (line, &b""[..]),
    };
    let (mut report, mut unfit, mut is_agent) = (Report::new(), None, false);
    for word in words.split(|byte| matches!(byte, b' ' | b'\t' | b',')) {
        let lower = word.to_ascii_lowercase();
        match &lower[..] {
            b"up" => unfit = None,
            b"down" => unfit = Some("down"),
            b"fail" | b"failed" => unfit = Some("fail"),
            b"stopped" => unfit = Some("stopped"),
            b"ready" => report = report.with_standing(Standing::Ready),
            b"drain" => report = report.with_standing(Standing::Draining),
            b"maint" => report = report.with_standing(Standing::Maintenance),
            other => match other.strip_suffix(b"%") {
                Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                    report = report.with_percent(number(digits));
                }
                _ if other.starts_with(b"maxconn:") => {}
                _ => continue,
            },
        }
        is_agent = true;
    }
    match unfit {
        _ if !is_agent => Err(ProbeError::unexpected(
            "a word of an agent, such as 'up'",
            excerpt(line),
        )),
        Some(word) if why.is_empty() => Err(ProbeError::Unfit(word.to_owned())),
        Some(word) => Err(ProbeError::Unfit(format!("{word}: {}", excerpt(why)))),
        None => Ok(report),
    }
}

/// Digits, and where they are too many the most there is.
fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number: u32, digit| {
        number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
    })
}

impl<B: Backend + ProbeTarget> HealthProbe<B> for Agent {
    type Error = ProbeError;

    async fn probe(&self, backend: &B) -> Result<Report, ProbeError> {
        self.ask(backend).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_haproxy_reads_it() {
        use Standing::{Draining, Maintenance, Ready};
        for (line, percent, standing) in [
            ("up", None, None),
            ("UP Ready", None, Some(Ready)),
            ("75%", Some(75), None),
            ("0%", Some(0), None),
            ("drain,50%\tup", Some(50), Some(Draining)),
            ("maint", None, Some(Maintenance)),
            ("maint ready", None, Some(Ready)),
            ("  ,, 1% 2% ,", Some(2), None),
            ("maxconn:30", None, None),
            ("up 4294967296%", Some(Report::MOST_PERCENT), None),
            ("down up", None, None),
            ("ready nonsense -5% 5%% % 5", None, Some(Ready)),
            ("up # 30% down", None, None),
        ] {
            let report = read(line.as_bytes()).unwrap();
            assert_eq!((report.percent(), report.standing()), (percent, standing), "{line}");
        }
        for (line, said) in [
            ("down", "the backend says down"),
            ("up down", "the backend says down"),
            ("Fail 100% ready", "the backend says fail"),
            ("failed", "the backend says fail"),
            ("stopped # by hand, at 5", "the backend says stopped: 'by hand, at 5'"),
            ("down#full", "the backend says down: 'full'"),
            ("drain down #\u{1b}[2J", r"the backend says down: '\u{1b}[2J'"),
        ] {
            assert_eq!(read(line.as_bytes()).unwrap_err().to_string(), said, "{line}");
        }
    }

    #[test]
    fn what_no_agent_would_say_does_not_pass() {
        for line in [
            "",
            " ",
            "HTTP/1.1 400 Bad Request",
            "# up",
            "+OK",
            "upp",
            "50",
            "-1%",
            "\u{e9}t\u{e9}",
        ] {
            let error = read(line.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("expected a word of an agent"), "{line}: {error}");
        }
        assert!(read(b"\xff\xfe up").is_ok());
    }
}
