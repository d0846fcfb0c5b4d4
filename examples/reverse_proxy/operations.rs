//! What operators do while it runs, by HTTP over a Unix socket, which is open to whoever the file system lets: see `HELP`.

use std::{
    convert::Infallible,
    fs, io,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use equipoise::{
    AnySelector, Backend, BoxError, Pool,
    http::HttpEndpoint,
    server::{Accepted, Listener, Server},
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use tokio::net::{UnixListener, UnixStream};

use crate::flags::time;

const HELP: &str = "\
GET  /backends             each in a line: its id, whether it can be picked, how many requests are in flight, why not
POST /drain[?within=T]     the backend of the id in the content gets no new requests or sessions; those that are at home
                           there stay, for this time if one is said
POST /undrain              it does again
";

/// Ids are longer in no sensible world.
const LONGEST: usize = 4096;

/// A socket of its own, removed with it.
pub(crate) struct Operations {
    listener: UnixListener,
    path: PathBuf,
    /// What there is at the path as long as it is ours: the device, and the file's number.
    file: (u64, u64),
}

impl Operations {
    /// Only its owner may connect. A socket that nobody listens at any more is replaced, and nothing else.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let wrong = |kind, why: &str| Err(io::Error::new(kind, why));
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(file) if !file.file_type().is_socket() => {
                return wrong(io::ErrorKind::AlreadyExists, "there is a file that is no socket");
            }
            Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return wrong(io::ErrorKind::AddrInUse, "somebody else listens there"),
                Err(_) => fs::remove_file(path)?,
            },
        }
        // In a folder that is open to its owner alone, as the socket is open to all until it is said otherwise.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let making = folder
            .unwrap_or(Path::new("."))
            .join(format!(".operations.{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&making)?;
        let within = making.join("socket");
        let placed = UnixListener::bind(&within).and_then(|listener| {
            fs::set_permissions(&within, fs::Permissions::from_mode(0o600))?;
            // Unlike a rename this replaces nothing.
            fs::hard_link(&within, path)?;
            Ok(listener)
        });
        let _ = fs::remove_file(&within);
        let _ = fs::remove_dir(&making);
        Ok(Self {
            listener: placed?,
            path: path.to_owned(),
            file: number(path)?,
        })
    }

    pub(crate) async fn serve(self, pool: Pool<HttpEndpoint, AnySelector<HttpEndpoint>>) {
        let service = tower::service_fn(move |request| {
            let pool = pool.clone();
            async move {
                let (status, text) = match operate(&pool, request).await {
                    Ok(text) => (StatusCode::OK, text),
                    Err((status, text)) => (status, text),
                };
                let mut response = Response::new(Full::new(Bytes::from(text)));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        Server::new().serve(self, service, std::future::pending()).await;
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        // It may have been removed, and another put there.
        if number(&self.path).is_ok_and(|file| file == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The device and the number of a file.
fn number(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

impl Listener for Operations {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<Accepted<UnixStream>> {
        let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
        let (stream, _) = self.listener.accept().await?;
        Ok(Accepted::new(stream, nobody, nobody))
    }
}

type Refused = (StatusCode, String);

async fn operate(
    pool: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>,
    request: Request<Incoming>,
) -> Result<String, Refused> {
    let (head, content) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let applied = match (&head.method, head.uri.path()) {
        (&Method::GET, "/backends") => return Ok(backends(pool)),
        (&Method::POST, "/drain") => {
            let id = read(content).await?;
            match sessions(query)? {
                Some(within) => pool.handle().drain_within(id, within),
                None => pool.handle().drain(id),
            }
        }
        (&Method::POST, "/undrain") => pool.handle().undrain(read(content).await?),
        _ => return Err((StatusCode::NOT_FOUND, HELP.to_owned())),
    };
    match applied.await {
        Ok(true) => Ok("done\n".to_owned()),
        Ok(false) => Err((
            StatusCode::NOT_FOUND,
            "no such backend, or it was so already\n".to_owned(),
        )),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))),
    }
}

async fn read(content: Incoming) -> Result<String, Refused> {
    let wrong = |why: BoxError| (StatusCode::BAD_REQUEST, format!("expected a backend's id: {why}\n"));
    let content = Limited::new(content, LONGEST).collect().await.map_err(wrong)?;
    let text = String::from_utf8(content.to_bytes().into()).map_err(|error| wrong(error.into()))?;
    Ok(text.trim().to_owned())
}

fn sessions(query: &str) -> Result<Option<Duration>, Refused> {
    match query.strip_prefix("within=") {
        Some(text) => match time("within", text) {
            Ok(within) => Ok(Some(within)),
            Err(why) => Err((StatusCode::BAD_REQUEST, why + "\n")),
        },
        None if query.is_empty() => Ok(None),
        None => Err((StatusCode::BAD_REQUEST, HELP.to_owned())),
    }
}

fn backends(pool: &Pool<HttpEndpoint, AnySelector<HttpEndpoint>>) -> String {
    let members = pool.members().into_iter();
    let lines = members.map(|member| {
        let state = match () {
            () if member.draining => "draining",
            () if member.open => "open",
            () => "closed",
        };
        format!(
            "{} {state}, {} in flight, {}, {}\n",
            member.backend.id().escape_debug(),
            member.in_flight,
            member.health,
            member.ejection
        )
    });
    lines.collect()
}
