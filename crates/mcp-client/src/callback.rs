//! Where the browser brings the answer: a port of this machine, for one answer (RFC 8252 §7.3, §8.3).

use std::{io, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::HeaderMap;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
};
use url::Url;

use crate::{
    authorization::Pending,
    error::{Error, Fault},
    observer::Step,
};

const PATH: &str = "/callback";

/// A port that is taken, before anybody is sent to it.
pub(crate) struct Callback {
    listener: TcpListener,
    pub(crate) port: u16,
}

impl Callback {
    /// Takes this port, or any with 0.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        // By its address: a name may resolve to somewhere else (RFC 8252 §8.3).
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        Ok(Self { port: listener.local_addr()?.port(), listener })
    }

    pub(crate) fn redirect_uri(&self) -> Result<Url, Error> {
        Url::parse(&format!("http://127.0.0.1:{}{PATH}", self.port))
            .map_err(|why| Error::new(Step::Authorization, Fault::Here(why.to_string())))
    }

    /// Waits for the answer to this request; the page tells the person how it ended. Whatever else comes by (the icon of
    /// the page, another program, a page that guesses) changes nothing.
    pub(crate) async fn answer(self, pending: Arc<Pending>) -> Result<String, Error> {
        let (told, mut heard) = mpsc::channel(1);
        let done = Arc::new(Notify::new());
        let host = format!("127.0.0.1:{}", self.port);
        let app = Router::new().route(PATH, get(receive)).with_state(Waiting { pending, told, host: host.into() });
        let stop = Arc::clone(&done);
        let server = tokio::spawn(async move {
            axum::serve(self.listener, app).with_graceful_shutdown(async move { stop.notified().await }).await
        });
        // Dropped with this future: a deadline leaves no port open.
        let _stop = StopWhenDropped(server.abort_handle());
        let query = heard.recv().await.unwrap_or_default();
        done.notify_one();
        // The page is on its way; a browser that keeps its connection open is not waited for.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(500), server).await;
        Ok(query)
    }
}

struct StopWhenDropped(tokio::task::AbortHandle);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Clone)]
struct Waiting {
    pending: Arc<Pending>,
    told: mpsc::Sender<String>,
    host: Arc<str>,
}

async fn receive(State(waiting): State<Waiting>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    // Another name for this machine is a page that has made one (DNS rebinding).
    let asked_by_name = headers.get(HOST).is_some_and(|host| host.as_bytes() == waiting.host.as_bytes());
    if !asked_by_name || !waiting.pending.is_ours(&query) {
        return page(StatusCode::BAD_REQUEST, "Not expected", "Nothing here waits for this answer.");
    }
    let page = match waiting.pending.code(&query) {
        Ok(_) => page(StatusCode::OK, "Done", "You can close this window and go back to the terminal."),
        Err(error) if error.is_denied() => {
            page(StatusCode::OK, "Denied", "Nothing was granted. You can close this window.")
        }
        Err(_) => page(StatusCode::BAD_REQUEST, "Not accepted", "The terminal says why. You can close this window."),
    };
    // Only the first is heard.
    let _ = waiting.told.try_send(query);
    page
}

/// Nothing of the request stands in it, so nothing has to be escaped.
fn page(status: StatusCode, title: &'static str, sentence: &'static str) -> Response {
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><body style=\"font: 1.1rem system-ui; max-width: 30rem; margin: 20vh auto; padding: 0 1rem\">\
         <h1>{title}</h1><p>{sentence}</p>\n"
    );
    let headers: [(HeaderName, &str); 3] = [
        (CACHE_CONTROL, "no-store"),
        // The page's address has the code in it.
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ];
    (status, headers, Html(html)).into_response()
}
