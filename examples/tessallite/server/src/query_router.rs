//! Answers queries of models: what statistics say, or a scan where there are none yet. Remembers the plan.

use crate::service::{Running, Shared, Unavailable, health};
use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

pub async fn run(running: Arc<Running>) -> Result<()> {
    let routes = Router::new().route("/api/query", get(query)).merge(health());
    running.serve(routes.with_state(running.clone())).await
}

#[derive(Deserialize)]
struct Asked {
    model: i64,
}

async fn query(State(running): Shared, Query(asked): Query<Asked>) -> Result<Response, Unavailable> {
    let client = running.settings.connect().await?;
    let by_statistics = "SELECT row_count, total::text FROM model_statistics WHERE model_id = $1";
    let by_scan = "SELECT count(number), coalesce(sum(amount), 0)::text \
                   FROM models LEFT JOIN model_rows ON model_id = id WHERE id = $1 GROUP BY id";
    let mut found = ("statistics", client.query_opt(by_statistics, &[&asked.model]).await?);
    if found.1.is_none() {
        found = ("scan", client.query_opt(by_scan, &[&asked.model]).await?);
    }
    let (plan, Some(row)) = found else { return Ok(StatusCode::NOT_FOUND.into_response()) };
    if running.release.migrations()?.iter().any(|name| name == "0007_add_query_plans") {
        let used = "INSERT INTO query_plans (model_id, plan, uses) VALUES ($1, $2, 1) \
                    ON CONFLICT (model_id) DO UPDATE SET plan = excluded.plan, uses = query_plans.uses + 1";
        client.execute(used, &[&asked.model, &plan]).await?;
    }
    let (rows, total) = (row.get::<_, i64>(0), row.get::<_, String>(1));
    Ok(Json(json!({ "model": asked.model, "rows": rows, "total": total, "plan": plan })).into_response())
}
