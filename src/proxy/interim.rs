//! Responses before the response (RFC 9110 §15.2).

use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_LENGTH};

use super::{hop, upload::Hold};
use crate::server::Connection;

/// Has the backend's interim responses over HTTP/1.1 passed on: a 100 asks for the content that is held, the others
/// (102, 103, …) go to the client as they come. hyper's client hands none on in HTTP/2, so who sends the request by that
/// finds what is held in its extensions.
pub(super) fn pass<B>(request: &mut Request<B>, client: Option<Connection>, held: Option<Hold>) {
    if client.is_none() && held.is_none() {
        return;
    }
    if let Some(held) = &held {
        request.extensions_mut().insert(held.clone());
    }
    hyper::ext::on_informational(request, move |interim| {
        if interim.status() == StatusCode::CONTINUE {
            if let Some(upload) = &held {
                upload.ask();
            }
        } else if let Some(client) = &client {
            // A client that can't be told goes without: it gets the response all the same.
            let _ = client.inform(for_client(interim.status(), interim.headers().clone()));
        }
    });
}

fn for_client(status: StatusCode, mut headers: HeaderMap) -> Response<()> {
    hop::strip(&mut headers);
    headers.remove(CONTENT_LENGTH);
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
