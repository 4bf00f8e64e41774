//! Service accounts: a key in Google's JSON, and what is signed with it.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::{Generate, Pkcs1v15Sign, PrivateKey, PublicKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

pub(super) struct Key {
    id: String,
    pem: String,
    public: PublicKey,
}

impl Key {
    /// One pair for the whole process: making one takes half a second. Each account has its own name for it.
    pub(super) fn generate() -> Self {
        static PAIR: OnceLock<PrivateKey> = OnceLock::new();
        let private = PAIR.get_or_init(PrivateKey::generate);
        let pem = private.to_pkcs8_pem(LineEnding::LF).expect("a key that was just made has a PEM");
        Self { id: random_text(), pem: pem.to_string(), public: private.to_public_key() }
    }
}

/// What an operator downloads: `type`, `private_key`, `token_uri` and the rest.
pub struct Account {
    pub email: String,
    key: Value,
}

impl Account {
    pub(super) fn new(email: &str, project: &str, url: &str, key: &Key) -> Self {
        let json = json!({
            "type": "service_account",
            "project_id": project,
            "private_key_id": key.id,
            "private_key": key.pem,
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": format!("{url}/o/oauth2/auth"),
            "token_uri": format!("{url}/token"),
            "universe_domain": "googleapis.com",
        });
        Self { email: email.to_owned(), key: json }
    }

    /// The key file's content.
    pub fn json(&self) -> &Value {
        &self.key
    }

    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        std::fs::write(path, self.key.to_string())
    }
}

pub(super) struct Claims {
    pub issuer: String,
    pub scope: String,
    pub audience: String,
    /// Seconds since 1970.
    pub issued: i64,
}

/// What a token says, if the key of the account that it names has signed it and it is not over.
pub(super) fn claims_of<'k>(token: &str, key_of: impl FnOnce(&str) -> Option<&'k Key>) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
    let claims: Value = serde_json::from_slice(&decode(claims)?).ok()?;
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let issuer = text("iss");
    let key = key_of(&issuer)?;
    let is_of_this_key = header["alg"] == "RS256" && header["kid"].as_str().is_none_or(|kid| kid == key.id);
    let hash = Sha256::digest(signed.as_bytes());
    let now = jiff::Timestamp::now().as_second();
    let is_current = claims["exp"].as_i64()? > now && claims["iat"].as_i64()? <= now;
    let is_signed = key.public.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &decode(signature)?).is_ok();
    let issued = claims["iat"].as_i64()?;
    (is_of_this_key && is_current && is_signed).then(|| Claims {
        issuer,
        scope: text("scope"),
        audience: text("aud"),
        issued,
    })
}

/// An identity has the form of a signed token; nobody here checks the signature.
pub(super) fn identity(owner: &str, service: &str, life: Duration) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://accounts.google.com", "aud": service, "sub": owner, "email": owner,
        "iat": now, "exp": now + i64::try_from(life.as_secs()).unwrap_or(i64::MAX),
    });
    let code = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", code(&json!({ "alg": "RS256", "typ": "JWT" })), code(&claims), random_text())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Nobody else has it.
pub(super) fn random_text() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    format!("{:016x}", RandomState::new().hash_one(0))
}
