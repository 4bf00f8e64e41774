//! Who may ask: tokens, accounts, the metadata server, rights.

use crate::client::{Client, PLACE, http, start};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, PrivateKey};
use scratch_google::{Account, Google};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// As a client signs it.
fn signed(account: &Account, claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": account.json()["private_key_id"] });
    let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", coded(&header), coded(claims));
    let key = PrivateKey::from_pkcs8_pem(account.json()["private_key"].as_str().unwrap()).unwrap();
    let signature = key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(&text)).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(account: &Account, google: &Google) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({ "iss": account.email, "scope": SCOPE, "aud": format!("{}/token", google.url()), "iat": now - 5, "exp": now + 60 })
}

/// A client with this token, asked for the services.
async fn status(google: &Google, token: &str) -> (u16, Value) {
    let client = Client { token: token.to_owned(), ..Client::of(google) };
    let answer = client.ask("GET", &format!("{PLACE}/services"), None).await;
    (answer.status, answer.body["error"].clone())
}

#[tokio::test]
async fn a_service_account_gets_in_by_its_key() {
    let (google, client) = start();
    let account = google.account("upgraded", "acme");
    let assertion = signed(&account, &claims(&account, &google));
    // Signed by itself, as Google's client for Rust does.
    assert_eq!(status(&google, &assertion).await.0, 200);
    assert_eq!(google.exchanges().last().unwrap().caller, "upgraded@acme.iam.gserviceaccount.com");
    // By the token endpoint, as others do.
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let token_of = async |assertion: &str| -> (u16, Value) {
        let request =
            client.http.post(account.json()["token_uri"].as_str().unwrap()).body(format!("{grant}{assertion}"));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let (code, answer) = token_of(&assertion).await;
    assert_eq!((code, &answer["token_type"]), (200, &json!("Bearer")));
    assert_eq!(status(&google, answer["access_token"].as_str().unwrap()).await.0, 200);
    // A key that another made, a signature that was touched, a time that is over.
    let stranger = Google::start("other").account("upgraded", "acme");
    let mut over = claims(&account, &google);
    over["exp"] = (jiff::Timestamp::now().as_second() - 1).into();
    let mut other_name = claims(&account, &google);
    other_name["iss"] = "root@acme.iam.gserviceaccount.com".into();
    for bad in [
        signed(&stranger, &claims(&stranger, &google)),
        format!("{}A", &assertion[..assertion.len() - 1]),
        signed(&account, &over),
        signed(&account, &other_name),
    ] {
        let (code, error) = status(&google, &bad).await;
        assert_eq!((code, &error["status"]), (401, &json!("UNAUTHENTICATED")));
        assert_eq!(token_of(&bad).await.0, 400);
    }
}

#[tokio::test]
async fn without_a_token_nobody_gets_in() {
    let (google, client) = start();
    let response = http().get(format!("{}{PLACE}/services", google.url())).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["details"][0]["reason"], "CREDENTIALS_MISSING");
    assert_eq!(status(&google, "made-up").await.0, 401);
    assert_eq!(status(&google, &client.token).await.0, 200);
    google.expire_tokens();
    assert_eq!(status(&google, &client.token).await.0, 401);
    assert_eq!(status(&google, &google.token()).await.0, 200);
}

#[tokio::test]
async fn the_metadata_server_of_a_machine_has_a_token() {
    let (google, _) = start();
    let address =
        format!("http://{}/computeMetadata/v1/instance/service-accounts/default/token", google.metadata_host());
    assert_eq!(http().get(&address).send().await.unwrap().status(), 403);
    let response = http().get(&address).header("Metadata-Flavor", "Google").send().await.unwrap();
    assert_eq!(response.headers()["metadata-flavor"], "Google");
    let token: Value = response.json().await.unwrap();
    assert_eq!(status(&google, token["access_token"].as_str().unwrap()).await.0, 200);
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let (google, client) = start();
    client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    google.withdraw("run.services.get");
    let answer = client.ask("GET", &path, None).await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.body["error"]["message"],
        "Permission 'run.services.get' denied on resource 'projects/acme/locations/europe-west1/services/web' (or \
         resource may not exist)."
    );
    assert_eq!(answer.body["error"]["details"][0]["metadata"]["permission"], "run.services.get");
    let asked = json!({ "permissions": ["run.services.get", "run.services.update"] });
    let held = client.post(&format!("{path}:testIamPermissions"), asked).await;
    assert_eq!(held, json!({ "permissions": ["run.services.update"] }));
    google.grant("run.services.get");
    client.get(&path).await;
    // A deployment needs the right to act as the service's account too.
    google.withdraw("iam.serviceaccounts.actAs");
    let denied = client.ask("PATCH", &path, Some(crate::client::template("app:2"))).await;
    assert!(denied.body["error"]["message"].as_str().unwrap().contains("iam.serviceaccounts.actAs"));
    // Cloud SQL says it in its own way.
    google.withdraw("cloudsql.instances.get");
    let answer = client.ask("GET", "/v1/projects/acme/instances/main", None).await;
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(
        answer.status == 403 && message.contains("Possibly missing permission cloudsql.instances.get"),
        "{message}"
    );
    assert_eq!(answer.body["error"]["errors"][0]["reason"], "forbidden");
}

#[tokio::test]
async fn a_wrong_project_or_region_is_refused() {
    let (google, client) = start();
    for (path, code, message) in [
        ("/v2/projects/nobody/locations/europe-west1/services/web", 403, "Permission 'run.services.get' denied"),
        ("/v2/projects/acme/locations/mars-north1/services/web", 403, "Permission denied on 'locations/mars-north1'"),
        (
            "/v2/projects/acme/locations/europe-west4/services/web",
            404,
            "Resource 'web' of kind 'SERVICE' in region 'europe-west4' in project 'acme' does not exist.",
        ),
        ("/v1/projects/nobody/instances/main", 403, "boss::NOT_AUTHORIZED"),
        ("/v1/projects/acme/instances/main", 404, "The Cloud SQL instance does not exist."),
    ] {
        let answer = client.ask("GET", path, None).await;
        let said = answer.body["error"]["message"].as_str().unwrap();
        assert!(answer.status == code && said.contains(message), "{path}: {} {said}", answer.status);
    }
    google.assert_held_to_the_documents();
}
