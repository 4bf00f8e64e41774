//! Servers that answer as the test says.

use super::{FakeHost, State};
use crate::{Error, Request, Response, Result};

type Answer = Box<dyn FnMut(&Request) -> Option<Result<Response>>>;

#[derive(Default)]
pub struct Answers {
    answers: Vec<Answer>,
    requests: Vec<Request>,
}

impl FakeHost {
    /// Answers requests; none where another answer must know. The last one that was added is asked first.
    pub fn on_request(&self, answer: impl FnMut(&Request) -> Option<Result<Response>> + 'static) {
        self.state.0.http.borrow_mut().answers.push(Box::new(answer));
    }
    /// Answers every `GET` of an address.
    pub fn page(&self, url: &str, status: u16, body: &str) {
        self.answer("GET", url, Response::new(status, body));
    }
    /// Answers every request of an address by a method.
    pub fn answer(&self, method: &str, url: &str, response: Response) {
        let (method, url) = (method.to_owned(), url.to_owned());
        self.on_request(move |r| (r.method == method && r.url == url).then(|| Ok(response.clone())));
    }
    /// Every request that was sent, whole.
    pub fn requests(&self) -> Vec<Request> {
        self.state.0.http.borrow().requests.clone()
    }
}

pub fn send(state: &State, request: &Request) -> Result<Response> {
    state.reading("http.send", &[&request.method, &request.url])?;
    let mut http = state.0.http.borrow_mut();
    http.requests.push(request.clone());
    let answer = http.answers.iter_mut().rev().find_map(|answer| answer(request));
    answer.unwrap_or_else(|| Err(Error::unavailable(format!("nobody listens at `{}`", request.url))))
}
