//! Bytes as they go over a socket, from both of a proxy's sides.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sockets are involved: whatever hangs ends the test.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, future).await.expect("within 20 s")
}

/// One end of a TCP connection, and what was read of it but not yet asked for.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

/// A message as it came over the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// Whether its end came before the connection's.
    pub(crate) is_whole: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let buffer = Vec::new();
        Self { stream, buffer }
    }

    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::new(soon(TcpStream::connect(address)).await.unwrap())
    }

    /// Writes; a peer that closed meanwhile is none of a test's business here.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon(self.stream.write_all(bytes.as_ref())).await;
    }

    /// Writes what the socket takes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> usize {
        self.stream.write(bytes).await.unwrap()
    }

    /// More bytes into the buffer; false at the end of the stream, however it ended.
    async fn fill(&mut self) -> bool {
        soon(self.stream.read_buf(&mut self.buffer)).await.unwrap_or(0) > 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// So many bytes, or those until the end.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill().await {}
        self.take(count.min(self.buffer.len()))
    }

    /// All until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the other side closes, without a further byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }

    /// Whether nothing comes for a moment: neither bytes nor the end.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        let moment = Duration::from_millis(100);
        self.buffer.is_empty() && tokio::time::timeout(moment, self.fill()).await.is_err()
    }

    /// A line without its CRLF; none if the stream ends in it.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let mut line = self.take(end + 2);
                line.truncate(end);
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    async fn headers(&mut self) -> Option<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(headers);
            }
            let (name, value) = line
                .split_once(": ")
                .unwrap_or_else(|| panic!("not as hyper writes it: {line}"));
            headers.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The head of a message; none if the stream ends before it does.
    pub(crate) async fn head(&mut self) -> Option<Message> {
        let start = self.line().await?;
        let headers = self.headers().await?;
        let message = Message {
            start,
            headers,
            ..Message::default()
        };
        let framings = message.all("content-length").len() + message.all("transfer-encoding").len();
        assert!(framings <= 1, "framed more than once: {message:?}");
        Some(message)
    }

    /// The content that belongs to a head.
    pub(crate) async fn content(&mut self, message: &mut Message) {
        let is_response = message.start.starts_with("HTTP/");
        if let Some(length) = message.get("content-length") {
            let length = length.parse().unwrap();
            message.body = self.read(length).await;
            message.is_whole = message.body.len() == length;
        } else if let Some(coding) = message.get("transfer-encoding") {
            assert_eq!(coding, "chunked");
            message.is_whole = self.chunks(message).await.is_some();
        } else if is_response && ![101, 204, 304].contains(&message.status()) {
            message.body = self.rest().await;
            message.is_whole = true;
        } else {
            message.is_whole = true;
        }
    }

    async fn chunks(&mut self, message: &mut Message) -> Option<()> {
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).expect("a chunk's size, and nothing else");
            if size == 0 {
                message.trailers = self.headers().await?;
                return Some(());
            }
            let chunk = self.read(size).await;
            message.body.extend_from_slice(&chunk);
            if self.read(2).await != b"\r\n" {
                return None;
            }
        }
    }

    /// A whole message, as far as it comes; none if not even its head does.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        self.content(&mut message).await;
        Some(message)
    }

    /// The answer to `HEAD`: its length is of content that does not come.
    pub(crate) async fn answer_to_head(&mut self) -> Message {
        self.head().await.unwrap()
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).await;
        self.message().await.expect("an answer")
    }
}

impl Message {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(other, _)| other == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// A header that is there at most once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is there {} times: {self:?}", all.len());
        all.first().copied()
    }

    pub(crate) fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("no status line: {}", self.start))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
