//! An answer as a stream of server-sent events: what is reported on the way, then the response.

use std::{collections::VecDeque, convert::Infallible};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use http::{HeaderMap, HeaderValue};
use tokio::sync::mpsc;

use super::{AccessLog, Whole};
use crate::tool::BoxFuture;

/// A call in progress. Dropping it cancels the call.
pub(super) type Running = BoxFuture<'static, Whole>;

/// The stream before it is a response.
pub(super) struct Stream {
    queued: VecDeque<String>,
    source: Source,
    headers: Option<Box<HeaderMap>>,
}

enum Source {
    /// More may be reported, then the response comes.
    Running(mpsc::Receiver<String>, Running),
    /// The response is there and only has to be sent.
    Done(Whole),
    Sent,
}

impl Stream {
    /// The response alone, for a client that takes nothing but a stream.
    pub(super) fn of_one(mut whole: Whole) -> Self {
        let headers = whole.headers.take();
        Self { queued: VecDeque::new(), source: Source::Done(whole), headers }
    }

    pub(super) fn running(first: String, reports: mpsc::Receiver<String>, running: Running) -> Self {
        Self { queued: VecDeque::from([first]), source: Source::Running(reports, running), headers: None }
    }

    pub(super) fn finished(first: String, mut reports: mpsc::Receiver<String>, whole: Whole) -> Self {
        let mut queued = VecDeque::from([first]);
        while let Ok(report) = reports.try_recv() {
            queued.push_back(report);
        }
        Self { queued, source: Source::Done(whole), headers: None }
    }

    pub(super) fn into_response(mut self, log: AccessLog) -> Response {
        let headers = self.headers.take();
        let events = stream::unfold((self, Some(log)), async |(mut stream, mut log)| {
            let data = stream.next(&mut log).await?;
            Some((Ok::<_, Infallible>(Event::default().data(data)), (stream, log)))
        });
        let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
        if let Some(headers) = headers {
            response.headers_mut().extend(*headers);
        }
        // nginx would hold the events back until its buffer is full.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    async fn next(&mut self, log: &mut Option<AccessLog>) -> Option<String> {
        loop {
            if let Some(report) = self.queued.pop_front() {
                return Some(report);
            }
            match &mut self.source {
                Source::Running(reports, running) => tokio::select! {
                    biased;
                    Some(report) = reports.recv() => return Some(report),
                    whole = running => {
                        while let Ok(report) = reports.try_recv() {
                            self.queued.push_back(report);
                        }
                        self.source = Source::Done(whole);
                    }
                },
                Source::Done(whole) => {
                    if let Some(log) = log.take() {
                        log.finish(whole.status, whole.code);
                    }
                    let body = String::from_utf8(std::mem::take(&mut whole.body)).expect("JSON is UTF-8");
                    self.source = Source::Sent;
                    return Some(body);
                }
                Source::Sent => return None,
            }
        }
    }
}
