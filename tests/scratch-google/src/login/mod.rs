//! Who asks and what they may: service accounts, access tokens, the metadata server of a machine, withdrawn rights.

mod account;
mod endpoints;
mod rights;

pub use account::Account;
pub(crate) use endpoints::answer;
pub(crate) use rights::needed;

use crate::refusal::Refusal;
use account::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// As Google's.
const LIFE: Duration = Duration::from_secs(3599);

#[derive(Default)]
pub(crate) struct Login {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<String, Key>,
    tokens: BTreeMap<String, Token>,
    /// The service that each is for.
    identities: BTreeMap<String, String>,
    issued: u64,
    withdrawn: BTreeSet<String>,
    /// Self-signed tokens issued before are refused, in seconds since 1970.
    expired_before: i64,
}

struct Token {
    owner: String,
    ends: Instant,
}

impl Login {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }

    /// Makes an account, or a further key for it.
    pub(crate) fn account(&self, name: &str, project: &str, url: &str) -> Account {
        let email = format!("{name}@{project}.iam.gserviceaccount.com");
        let key = Key::generate();
        let account = Account::new(&email, project, url, &key);
        self.state().accounts.insert(email, key);
        account
    }

    /// A new access token.
    pub(crate) fn issue(&self, owner: &str) -> String {
        let mut state = self.state();
        state.issued += 1;
        let token = format!("ya29.scratch-{}-{}", state.issued, account::random_text());
        state.tokens.insert(token.clone(), Token { owner: owner.to_owned(), ends: Instant::now() + LIFE });
        token
    }

    /// A token that says who somebody is to a service.
    fn identify(&self, owner: &str, service: &str) -> String {
        let token = account::identity(owner, service, LIFE);
        self.state().identities.insert(token.clone(), service.to_owned());
        token
    }

    pub(crate) fn is_invoker(&self, authorization: Option<&str>, service: &str) -> bool {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer "));
        let is_for_it = token.is_some_and(|token| self.state().identities.get(token).is_some_and(|own| own == service));
        is_for_it && self.may("run.routes.invoke")
    }

    /// Every token that anybody holds is refused from now on.
    pub(crate) fn expire(&self) {
        let mut state = self.state();
        state.tokens.clear();
        state.identities.clear();
        state.expired_before = jiff::Timestamp::now().as_second() + 1;
    }

    pub(crate) fn withdraw(&self, permission: &str) {
        self.state().withdrawn.insert(permission.to_owned());
    }

    pub(crate) fn grant(&self, permission: &str) {
        self.state().withdrawn.remove(permission);
    }

    pub(crate) fn may(&self, permission: &str) -> bool {
        !self.state().withdrawn.contains(permission)
    }

    /// The account that a request's `authorization` stands for.
    pub(crate) fn who(&self, authorization: Option<&str>) -> Result<String, Refusal> {
        let token = authorization.ok_or_else(Refusal::no_credential)?;
        let token = token.strip_prefix("Bearer ").ok_or_else(Refusal::bad_credential)?;
        let state = self.state();
        if let Some(known) = state.tokens.get(token) {
            return if known.ends > Instant::now() { Ok(known.owner.clone()) } else { Err(Refusal::bad_credential()) };
        }
        let claims =
            account::claims_of(token, |email| state.accounts.get(email)).ok_or_else(Refusal::bad_credential)?;
        let is_meant_for_us =
            claims.scope.contains("/auth/cloud-platform") || claims.audience.contains("googleapis.com");
        // Clients date a token ten seconds back, against clocks that differ.
        let is_fresh = claims.issued + 10 >= state.expired_before;
        if is_meant_for_us && is_fresh { Ok(claims.issuer) } else { Err(Refusal::bad_credential()) }
    }

    /// The account of a signed request for a token.
    fn signed(&self, assertion: &str) -> Option<String> {
        let state = self.state();
        account::claims_of(assertion, |email| state.accounts.get(email)).map(|claims| claims.issuer)
    }
}
