//! The endpoint that changes a signed assertion into a token, and the metadata server that a machine of Google's has.

use super::{LIFE, Login};
use crate::discovery::query::pairs;
use crate::reply::Reply;
use serde_json::{Value, json};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Whom the metadata server speaks for.
const MACHINE: &str = "machine@scratch.iam.gserviceaccount.com";
const METADATA: &str = "/computeMetadata/v1/";

/// Nothing: the path is another's.
pub(crate) fn answer(login: &Login, request: &hyper::http::request::Parts, body: &[u8]) -> Option<Reply> {
    let path = request.uri.path();
    if path == "/token" {
        return Some(token(login, &String::from_utf8_lossy(body)));
    }
    // Clients look there for the machine that they run on.
    let wanted = if path == "/" { "" } else { path.strip_prefix(METADATA)? };
    let is_asked_rightly = request.headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
    if !is_asked_rightly {
        return Some(Reply::text(403, "Missing Metadata-Flavor:Google header."));
    }
    let reply = match wanted.trim_end_matches('/') {
        "" => Reply::text(200, "computeMetadata/"),
        "instance/service-accounts/default/token" => Reply::json(200, &access(login, MACHINE)),
        "instance/service-accounts/default/identity" => {
            let asked = pairs(request.uri.query().unwrap_or_default());
            match asked.iter().find(|(name, _)| name == "audience") {
                Some((_, audience)) => Reply::text(200, &login.identify(MACHINE, audience)),
                None => Reply::text(400, "non-empty audience parameter required"),
            }
        }
        "instance/service-accounts/default/email" => Reply::text(200, MACHINE),
        "instance/service-accounts/default/scopes" => {
            Reply::text(200, "https://www.googleapis.com/auth/cloud-platform")
        }
        "instance/service-accounts/default" => Reply::json(200, &json!({ "email": MACHINE, "aliases": ["default"] })),
        "project/project-id" => Reply::text(200, "scratch"),
        "universe/universe-domain" | "universe/universe_domain" => Reply::text(200, "googleapis.com"),
        _ => Reply::text(404, "Not Found"),
    };
    Some(reply.with("metadata-flavor", "Google"))
}

fn token(login: &Login, form: &str) -> Reply {
    let form = pairs(form);
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    if field("grant_type") != GRANT {
        let why = json!({ "error": "unsupported_grant_type", "error_description": "Invalid grant_type" });
        return Reply::json(400, &why);
    }
    match login.signed(field("assertion")) {
        Some(owner) => Reply::json(200, &access(login, &owner)),
        None => {
            let why = json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." });
            Reply::json(400, &why)
        }
    }
}

fn access(login: &Login, owner: &str) -> Value {
    json!({ "access_token": login.issue(owner), "expires_in": LIFE.as_secs(), "token_type": "Bearer" })
}
