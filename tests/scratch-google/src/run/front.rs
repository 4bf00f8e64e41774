//! Addresses of services and tags: each its own port of 127.0.0.1, behind which the revisions are that traffic selects.

use crate::core::Core;
use crate::reply::{Body, whole};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// One address. It closes when this is dropped.
pub(crate) struct Front {
    /// `http://127.0.0.1:1234`
    pub url: String,
    routes: Arc<Mutex<Routes>>,
    _stop: DropGuard,
}

#[derive(Default)]
struct Routes {
    /// Percent and port. They sum to 100, or there are none.
    targets: Vec<(u32, u16)>,
    turn: u32,
}

impl Front {
    /// Of a service, or of a tag of the one at `service`.
    pub(super) fn open(core: &Arc<Core>, service: Option<&str>) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Arc::new(Mutex::new(Routes::default()));
        let stop = CancellationToken::new();
        let service = Arc::from(service.unwrap_or(&url));
        core.spawn(serve(Arc::clone(core), listener, service, Arc::clone(&routes), stop.clone()));
        Ok(Self { url, routes, _stop: stop.drop_guard() })
    }

    pub(super) fn route(&self, targets: Vec<(u32, u16)>) {
        self.routes.lock().expect("nothing panics while it holds the lock").targets = targets;
    }
}

impl Routes {
    /// Of any hundred requests in a row each target gets exactly its percent, well mixed.
    fn next(&mut self) -> Option<u16> {
        let mut slot = self.turn.wrapping_mul(37) % 100;
        self.turn = (self.turn + 1) % 100;
        for (percent, port) in &self.targets {
            if slot < *percent {
                return Some(*port);
            }
            slot -= percent;
        }
        None
    }
}

async fn serve(
    core: Arc<Core>, listener: std::net::TcpListener, service: Arc<str>, routes: Arc<Mutex<Routes>>,
    stop: CancellationToken,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let Ok((stream, _)) = accepted else { continue };
        let (routes, stop) = (Arc::clone(&routes), stop.clone());
        let connection = connection(Arc::clone(&core), stream, Arc::clone(&service), routes);
        core.spawn(async move { _ = stop.run_until_cancelled(connection).await });
    }
}

async fn connection(core: Arc<Core>, stream: TcpStream, service: Arc<str>, routes: Arc<Mutex<Routes>>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let is_let_in = core.lets_in(&service, authorization);
        let port = is_let_in.then(|| routes.lock().expect("nothing panics while it holds the lock").next());
        let core = Arc::clone(&core);
        async move {
            Ok::<_, Infallible>(match port {
                Some(port) => pass_on(&core, request, port).await,
                None => said(StatusCode::FORBIDDEN, "Your client does not have permission to get the URL"),
            })
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

async fn pass_on(core: &Core, mut request: Request<Incoming>, port: Option<u16>) -> Response<Body> {
    let Some(port) = port else { return said(StatusCode::NOT_FOUND, "Error: Page not found") };
    // Whether the visitor's connection stays open is between it and the front.
    request.headers_mut().remove("connection");
    request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let passed = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        core.spawn(async move { drop(connection.await) });
        sender.send_request(request).await.ok()
    };
    match passed.await {
        Some(response) => {
            let (mut head, body) = response.into_parts();
            head.headers.remove("connection");
            Response::from_parts(head, body.boxed())
        }
        None => said(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text.into()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_requests_are_split_exactly() {
        let mut routes = Routes { targets: vec![(25, 1), (70, 2), (5, 3)], turn: 60 };
        let mut got = [0; 4];
        for _ in 0..100 {
            got[usize::from(routes.next().unwrap())] += 1;
        }
        assert_eq!(got, [0, 25, 70, 5]);
        // Well mixed: a client that makes ten requests meets more than one.
        let first: Vec<u16> = (0..10).filter_map(|_| routes.next()).collect();
        assert!(first.contains(&1) && first.contains(&2), "{first:?}");
        assert_eq!(Routes::default().next(), None);
    }
}
