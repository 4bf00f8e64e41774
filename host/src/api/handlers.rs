//! One small function for each route: takes the request apart, asks the facade, says the status.

use super::facade::{Caller, LogsOf};
use super::routes;
use super::server::Shared;
use super::types::*;
use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, body::Bytes};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

const RUNS_DEFAULT: usize = 20;
const RUNS_MAX: usize = 1000;
const LINES_DEFAULT: usize = 1000;
const LINES_MAX: usize = 10_000;

type Answered<T> = Result<Json<T>, ApiError>;
type Name = Result<Path<String>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;
type By = Extension<Caller>;

pub async fn index() -> Json<Index> {
    Json(Index { upgraded: env!("CARGO_PKG_VERSION").into(), routes: routes::infos() })
}

pub async fn deployments(State(s): State<Shared>) -> Answered<Vec<Deployment>> {
    s.facade.deployments().await.map(Json)
}

pub async fn deployment(State(s): State<Shared>, name: Name) -> Answered<Deployment> {
    s.facade.deployment(&name?.0).await.map(Json)
}

pub async fn releases(State(s): State<Shared>, name: Name) -> Answered<Releases> {
    s.facade.releases(&name?.0).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    to: Option<String>,
}

pub async fn plan(State(s): State<Shared>, name: Name, query: Asked<PlanQuery>) -> Answered<PlanView> {
    s.facade.plan(&name?.0, query?.to.as_deref()).await.map(Json)
}

pub async fn set(State(s): State<Shared>, by: By, name: Name, body: Body<SetRequest>) -> Answered<VersionSet> {
    if body.0.version.trim().is_empty() {
        return Err(invalid("`version` is empty").hint("for example `{\"version\": \"1.4.0\"}`"));
    }
    s.facade.set(&name?.0, &body.0.version, &by).await.map(Json)
}

pub async fn look(State(s): State<Shared>, name: Name) -> Answered<Deployment> {
    s.facade.look(&name?.0).await.map(Json)
}

pub async fn check(State(s): State<Shared>, name: Name) -> Answered<Check> {
    s.facade.check(&name?.0).await.map(Json)
}

pub async fn approve(
    State(s): State<Shared>, by: By, name: Name, body: Optional<ApproveRequest>,
) -> Answered<Deployment> {
    s.facade.approve(&name?.0, body.0, &by).await.map(Json)
}

pub async fn retry(State(s): State<Shared>, by: By, name: Name) -> Answered<Deployment> {
    s.facade.retry(&name?.0, &by).await.map(Json)
}

pub async fn cancel(
    State(s): State<Shared>, by: By, name: Name, body: Optional<CancelRequest>,
) -> Answered<Deployment> {
    s.facade.cancel(&name?.0, body.0, &by).await.map(Json)
}

pub async fn rehearse(
    State(s): State<Shared>, by: By, name: Name, body: Optional<RehearseRequest>,
) -> Result<Response, ApiError> {
    let started = s.facade.rehearse(&name?.0, body.0, &by).await?;
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

pub async fn rollback(
    State(s): State<Shared>, by: By, name: Name, body: Optional<RollbackRequest>,
) -> Result<Response, ApiError> {
    let answer = s.facade.rollback(&name?.0, body.0, &by).await?;
    let status = match answer {
        RollbackAnswer::Started { .. } => StatusCode::ACCEPTED,
        RollbackAnswer::NeedsConfirmation { .. } => StatusCode::OK,
    };
    Ok((status, Json(answer)).into_response())
}

pub async fn decide(State(s): State<Shared>, by: By, name: Name, body: Body<DecideRequest>) -> Answered<Deployment> {
    let request = body.0;
    let unexplained = request.why.as_deref().is_none_or(|why| why.trim().is_empty());
    if request.decision == Decision::Abandon && unexplained {
        return Err(invalid("to abandon a run needs a `why`").hint("it is kept with the run, for those who come after"));
    }
    s.facade.decide(&name?.0, request, &by).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsQuery {
    limit: Option<usize>,
}

impl RunsQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(RUNS_DEFAULT).min(RUNS_MAX)
    }
}

pub async fn runs(State(s): State<Shared>, query: Asked<RunsQuery>) -> Answered<Vec<RunSummary>> {
    s.facade.runs(None, query?.limit()).await.map(Json)
}

pub async fn runs_of(State(s): State<Shared>, name: Name, query: Asked<RunsQuery>) -> Answered<Vec<RunSummary>> {
    s.facade.runs(Some(&name?.0), query?.limit()).await.map(Json)
}

pub async fn run(State(s): State<Shared>, id: Result<Path<u64>, PathRejection>) -> Answered<Run> {
    s.facade.run(id?.0).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogsQuery {
    since: Option<u64>,
    limit: Option<usize>,
}

pub async fn logs_of(State(s): State<Shared>, name: Name, query: Asked<LogsQuery>) -> Answered<Logs> {
    let name = name?.0;
    logs(&s, LogsOf::Deployment(&name), &query?.0).await
}

pub async fn run_logs(
    State(s): State<Shared>, id: Result<Path<u64>, PathRejection>, query: Asked<LogsQuery>,
) -> Answered<Logs> {
    logs(&s, LogsOf::Run(id?.0), &query?.0).await
}

async fn logs(shared: &Shared, of: LogsOf<'_>, query: &LogsQuery) -> Answered<Logs> {
    let limit = query.limit.unwrap_or(LINES_DEFAULT).min(LINES_MAX);
    shared.facade.logs(of, query.since, limit).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    deployment: Option<String>,
    since: Option<u64>,
}

/// The header that a browser's client sends when it comes back counts more than the address, which stays the same.
pub async fn events(
    State(s): State<Shared>, headers: HeaderMap, query: Asked<EventsQuery>,
) -> Result<Response, ApiError> {
    let query = query?;
    let last = match headers.get("last-event-id") {
        Some(value) => {
            let number = value.to_str().ok().and_then(|text| text.parse().ok());
            Some(number.ok_or_else(|| invalid("`Last-Event-ID` is not the number of an event"))?)
        }
        None => None,
    };
    if let Some(name) = &query.deployment {
        s.facade.deployment(name).await?;
    }
    let notices = s.facade.events(query.deployment.as_deref(), last.or(query.since)).await?;
    let events = notices.map(|notice| {
        let data = serde_json::to_string(&notice).expect("a notice is plain data");
        Ok::<_, Infallible>(Event::default().id(notice.id.to_string()).event(notice.news.name()).data(data))
    });
    let events = events.take_until(s.stopping.cancelled_owned());
    let heartbeat = KeepAlive::new().interval(s.heartbeat).text("alive");
    Ok(Sse::new(events).keep_alive(heartbeat).into_response())
}

pub async fn no_route(request: Request) -> ApiError {
    ApiError::new(ErrorCode::NotFound, format!("there is nothing at `{}`", request.uri().path()))
        .hint("`GET /v1/` lists what there is")
}

pub async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method().as_str(), request.uri().path());
    ApiError::new(ErrorCode::MethodNotAllowed, format!("`{path}` does not take `{method}`"))
        .hint("`GET /v1/` lists what there is")
}

#[derive(Serialize)]
struct ErrorBody {
    error: ApiError,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(ErrorBody { error: self })).into_response()
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, message)
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        invalid(rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        invalid(rejection.body_text())
    }
}

/// A JSON body, whatever the content type says: `curl -d` sends a form's.
pub struct Body<T>(T);

/// The same; nothing sent is the default.
pub struct Optional<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        parse(&body(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Shared> for Optional<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        let bytes = body(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { parse(&bytes).map(Self) }
    }
}

async fn body(request: Request, state: &Shared) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let limit = super::server::BODY_LIMIT_BYTES;
            return ApiError::new(ErrorCode::TooLarge, format!("the body is longer than {limit} bytes"));
        }
        invalid(rejection.body_text())
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| invalid(format!("the body is not what this route takes: {error}")))
}
