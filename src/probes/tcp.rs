//! Whether a backend takes connections.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    LONGEST,
    address::ProbeTarget,
    dial::{Dial, Wire},
    error::{ProbeError, SettingError},
    excerpt::excerpt,
    tls::{Alpn, Tls},
};
use crate::{Backend, HealthProbe, health::Report};

/// Connects, and closes the connection; if told so, says something and sees what the backend says.
///
/// ```
/// use equipoise::probes::Tcp;
/// let redis = Tcp::new().send("PING\r\n").expect("+PONG\r\n")?;
/// let smtp = Tcp::new().expect("220 ")?.port(25)?;
/// # Ok::<_, equipoise::probes::SettingError>(())
/// ```
/// A connection shows that the backend's machine takes it, which it may do for a while after the backend has stopped to
/// look. So does the last step of a handshake: where a backend can be made to answer, expect something.
#[derive(Clone, Debug, Default)]
pub struct Tcp {
    dial: Dial,
    said: Vec<u8>,
    expected: Vec<Vec<u8>>,
}

impl Tcp {
    /// Connects, and no more.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends these bytes, or this text, once it is connected.
    pub fn send(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.said = bytes.into();
        self
    }

    /// Who passes begins its reply with these bytes; or, if this is said more than once, with any of them. A reply that
    /// begins otherwise fails as soon as that is seen.
    ///
    /// # Errors
    /// They are none, or more than [`LONGEST`].
    pub fn expect(mut self, bytes: impl Into<Vec<u8>>) -> Result<Self, SettingError> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > LONGEST {
            return Err(SettingError::new("reply", &bytes, format!("1 to {LONGEST} bytes")));
        }
        self.expected.push(bytes);
        Ok(self)
    }

    /// Asks at this port of the backend's host, in place of its own.
    ///
    /// # Errors
    /// It is 0.
    pub fn port(mut self, port: u16) -> Result<Self, SettingError> {
        self.dial.set_port(port)?;
        Ok(self)
    }

    /// In TLS. Without it a backend is asked plainly, even if its address is one of `https`: it has taken the connection
    /// then, and whether it can prove who it is has not been asked.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.dial.set_tls(tls);
        self
    }

    async fn ask(&self, target: &(impl ProbeTarget + ?Sized)) -> Result<Report, ProbeError> {
        let mut address = self.dial.place(target.address()?);
        address.is_tls = false;
        let mut wire = self.dial.connect(&address, &address.host(), Alpn::Nothing).await?.wire;
        wire.write_all(&self.said).await?;
        wire.flush().await?;
        self.listen(&mut *wire).await?;
        Ok(Report::new())
    }

    /// Reads until it is clear what the reply begins with.
    async fn listen(&self, wire: &mut dyn Wire) -> Result<(), ProbeError> {
        let longest = self.expected.iter().map(Vec::len).max().unwrap_or(0);
        let mut came = Vec::with_capacity(longest);
        let mut part = [0; 4096];
        let mut expected: Vec<&Vec<u8>> = self.expected.iter().collect();
        while !expected.is_empty() {
            let count = wire.read(&mut part).await?;
            let seen = came.len();
            came.extend_from_slice(&part[..count]);
            // What came before agrees with those that are left.
            expected.retain(|expected| {
                expected[seen..]
                    .iter()
                    .zip(&came[seen..])
                    .all(|(one, other)| one == other)
            });
            if expected.iter().any(|expected| expected.len() <= came.len()) {
                return Ok(());
            }
            if count == 0 {
                break;
            }
        }
        if self.expected.is_empty() {
            return Ok(());
        }
        let expected: Vec<String> = self.expected.iter().map(|expected| excerpt(expected)).collect();
        let came = match &came[..] {
            [] => "the end".to_owned(),
            came => excerpt(came),
        };
        Err(ProbeError::unexpected(expected.join(" or "), came))
    }
}

impl<B: Backend + ProbeTarget> HealthProbe<B> for Tcp {
    type Error = ProbeError;

    async fn probe(&self, backend: &B) -> Result<Report, ProbeError> {
        self.ask(backend).await
    }
}
