//! Every route in one table: the router, `GET /v1/` and the test of `docs/API.md` are made from it.

use super::handlers as h;
use super::server::Shared;
use super::types::RouteInfo;
use axum::Router;
use axum::routing::{MethodRouter, get, post, put};

pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    handler: MethodRouter<Shared>,
}

fn route(method: &'static str, path: &'static str, summary: &'static str, handler: MethodRouter<Shared>) -> Route {
    Route { method, path, summary, handler }
}

pub fn table() -> Vec<Route> {
    vec![
        route("GET", "/v1/", "the daemon's version and these routes", get(h::index)),
        route("GET", "/v1/deployments", "all deployments, by name", get(h::deployments)),
        route("GET", "/v1/deployments/{name}", "one deployment", get(h::deployment)),
        route("GET", "/v1/deployments/{name}/releases", "releases, each with the way to it", get(h::releases)),
        route("GET", "/v1/deployments/{name}/plan", "what would happen; `to`: another version", get(h::plan)),
        route("PUT", "/v1/deployments/{name}/version", "edits the file's `version` line", put(h::set)),
        route("POST", "/v1/deployments/{name}/look", "reads file and installed version again", post(h::look)),
        route("POST", "/v1/deployments/{name}/check", "preflight now, nothing touched", post(h::check)),
        route("POST", "/v1/deployments/{name}/approve", "lets the waiting run begin", post(h::approve)),
        route("POST", "/v1/deployments/{name}/retry", "lifts the quarantine", post(h::retry)),
        route("POST", "/v1/deployments/{name}/cancel", "ends the open run", post(h::cancel)),
        route("POST", "/v1/deployments/{name}/rehearse", "the way to `to` on a throw-away double", post(h::rehearse)),
        route("POST", "/v1/deployments/{name}/rollback", "back to the version before", post(h::rollback)),
        route("POST", "/v1/deployments/{name}/decide", "the word on a stuck run", post(h::decide)),
        route("GET", "/v1/deployments/{name}/runs", "its runs, newest first; `limit`", get(h::runs_of)),
        route("GET", "/v1/deployments/{name}/logs", "its log lines; `since`, `limit`", get(h::logs_of)),
        route("GET", "/v1/runs", "all runs, newest first; `limit`", get(h::runs)),
        route("GET", "/v1/runs/{id}", "one run: plan, steps, findings, outcome", get(h::run)),
        route("GET", "/v1/runs/{id}/logs", "a run's log lines; `since`, `limit`", get(h::run_logs)),
        route("GET", "/v1/events", "server-sent events; `deployment`, `since`", get(h::events)),
    ]
}

pub(super) fn router(shared: Shared) -> Router {
    let routes = table().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    routes.method_not_allowed_fallback(h::wrong_method).fallback(h::no_route).with_state(shared)
}

pub fn infos() -> Vec<RouteInfo> {
    let info = |route: Route| RouteInfo {
        method: route.method.into(),
        path: route.path.into(),
        summary: route.summary.into(),
    };
    table().into_iter().map(info).collect()
}
