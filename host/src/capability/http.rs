//! `http`: requests to addresses that the operator granted, origin by origin, by the binding's `http`. The driver holds
//! each request, and each redirect, to the origins.

use super::bindings::http::{Host, Request, Response, SecretHeader};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::http;

impl Host for Guest {
    async fn send(&mut self, request: Request) -> Result<Response, Error> {
        let granted = self.granted.http("http.send", &request.url);
        let request = http::Request::from(request);
        let idle_ms = request.timeout_ms;
        let response = self
            .verb_for(granted, idle_ms, move |cx, drivers| {
                Box::pin(async move { drivers.http.send(cx, &request).await })
            })
            .await?;
        Ok(Response { status: response.status, headers: response.headers, body: response.body })
    }
}

impl From<Request> for http::Request {
    fn from(request: Request) -> Self {
        let Request { method, url, headers, secret_headers, body, timeout_ms } = request;
        let secret_headers = secret_headers
            .into_iter()
            .map(|SecretHeader { name, prefix, secret }| http::SecretHeader { name, prefix, secret })
            .collect();
        Self { method, url, headers, secret_headers, body, timeout_ms }
    }
}
