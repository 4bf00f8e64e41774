//! Behind `http`: requests to addresses that the operator granted. Reads only, as far as the host knows.

use crate::context::StepContext;
use crate::model::*;

pub struct Http {}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub secret_headers: Vec<SecretHeader>,
    pub body: Vec<u8>,
    pub timeout_ms: u64,
}

#[derive(Debug, Clone)]
pub struct SecretHeader {
    pub name: String,
    pub prefix: String,
    pub secret: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[allow(unused_variables, reason = "signatures first")]
impl Http {
    pub async fn send(&self, cx: &StepContext, request: &Request) -> Result<Response, VerbError> {
        todo!()
    }
}
