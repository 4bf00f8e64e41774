//! Who may come in: users with passwords, sessions that the secret signs, keys of models that it seals.

use anyhow::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

pub const ADMIN: &str = "admin";
const SESSION_SECONDS: u64 = 12 * 3600;

/// The administrator with the operator's password, unless there is one.
pub async fn create_admin(mysql: &mut Conn, password: &str, secret: &str) -> Result<()> {
    let salt = digest(&[secret, &now().to_string()]);
    let values = (ADMIN, &salt, digest(&[&salt, password]));
    Ok(mysql.exec_drop("INSERT IGNORE INTO users (name, salt, digest) VALUES (?, ?, ?)", values).await?)
}

/// A session's token, where the password is right.
pub async fn log_in(mysql: &mut Conn, user: &str, password: &str, secret: &str) -> Result<Option<String>> {
    let found: Option<(String, String)> =
        mysql.exec_first("SELECT salt, digest FROM users WHERE name = ?", (user,)).await?;
    let right = found.is_some_and(|(salt, expected)| digest(&[&salt, password]) == expected);
    Ok(right.then(|| token(user, now() + SESSION_SECONDS, secret)))
}

/// Whose session it is.
pub fn user_of<'a>(token: &'a str, secret: &str) -> Option<&'a str> {
    let mut parts = token.splitn(3, '.');
    let (expires, _, user) = (parts.next()?, parts.next()?, parts.next()?);
    let expires = expires.parse().ok().filter(|expires| *expires > now())?;
    (self::token(user, expires, secret) == token).then_some(user)
}

fn token(user: &str, expires: u64, secret: &str) -> String {
    format!("{expires}.{}.{user}", keyed(secret, &[user, &expires.to_string()]))
}

/// Keys of models that have no seal get one: who has another secret can't read them.
pub async fn seal_models(mysql: &mut Conn, secret: &str) -> Result<()> {
    let open: Vec<String> = mysql.query("SELECT id FROM models WHERE seal IS NULL").await?;
    for id in open {
        mysql.exec_drop("UPDATE models SET seal = ? WHERE id = ?", (keyed(secret, &[&id]), &id)).await?;
    }
    Ok(())
}

/// None: there is no such model. False: its key can't be read with this secret.
pub async fn opens_model(mysql: &mut Conn, id: &str, secret: &str) -> Result<Option<bool>> {
    let seal: Option<Option<String>> = mysql.exec_first("SELECT seal FROM models WHERE id = ?", (id,)).await?;
    Ok(seal.map(|seal| seal.is_some_and(|seal| seal == keyed(secret, &[id]))))
}

fn keyed(secret: &str, parts: &[&str]) -> String {
    digest(&[secret, &digest(&[secret, &digest(parts)])])
}

/// Of several texts, with their borders.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hex(&hasher.finalize())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_its_users_and_ends() {
        let session = token("an.na", now() + 5, "secret");
        assert_eq!(user_of(&session, "secret"), Some("an.na"));
        assert_eq!(user_of(&session, "another"), None);
        assert_eq!(user_of(&session.replace("an.na", "admin"), "secret"), None);
        assert_eq!(user_of(&token("anna", now(), "secret"), "secret"), None);
        assert_eq!(user_of("anna", "secret"), None);
    }
}
