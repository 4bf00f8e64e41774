//! Reads `google`: a project at Google's, and what of it a binding may use.

use super::Reading;
use super::places::{is_secret, secret};
use crate::config::deployment::{GoogleConfig, GoogleLogin};
use crate::config::document::{Item, Table};
use crate::model::Role;
use reqwest::Url;
use std::collections::BTreeMap;
use toml::de::DeValue;

impl Reading<'_, '_> {
    /// `{ project = "acme", region = "europe-west1", services = ["web"] }`, of a datastore
    /// `{ project = "acme", instance = "shop" }`.
    pub fn google(&mut self, item: &Item, role: Role) -> Option<GoogleConfig> {
        let mut table = item.table(self.report)?;
        let project = self.required(&mut table, "project", "the project's id, for example `acme-prod`");
        let mut config = GoogleConfig {
            project: String::new(),
            region: String::new(),
            login: GoogleLogin::Default,
            endpoint: None,
            services: BTreeMap::new(),
            jobs: BTreeMap::new(),
            instance: String::new(),
            drill: false,
        };
        let mut sound = true;
        if role == Role::Datastore {
            let instance =
                self.required(&mut table, "instance", "the instance's name, as `gcloud sql instances list` has it");
            sound &= instance.is_some();
            config.instance = instance.unwrap_or_default();
            let drill = table.take("drill").map_or(Some(false), |item| item.boolean(self.report));
            sound &= drill.is_some();
            config.drill = drill.unwrap_or_default();
        } else {
            let region = self.required(&mut table, "region", "where the services run, for example `europe-west1`");
            sound &= region.is_some();
            config.region = region.unwrap_or_default();
            let named = table.require(
                "services",
                "the services that may be changed: a list, or `{ web = \"acme-web\" }`",
                self.report,
            );
            sound &= named.is_some();
            config.services = named.map(|item| self.cloud_names(&item)).unwrap_or_default();
            config.jobs = table.take("jobs").map(|item| self.cloud_names(&item)).unwrap_or_default();
        }
        if let Some(item) = table.take("credentials") {
            match self.google_login(&item) {
                Some(login) => config.login = login,
                None => sound = false,
            }
        }
        if let Some(item) = table.take("endpoint") {
            match self.endpoint(&item) {
                Some(endpoint) => config.endpoint = Some(endpoint),
                None => sound = false,
            }
        }
        table.finish(self.report);
        config.project = project?;
        sound.then_some(config)
    }

    fn required(&mut self, table: &mut Table, key: &'static str, help: &str) -> Option<String> {
        let item = table.require(key, help, self.report)?;
        let text = item.text(self.report)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | ':');
        if text.chars().all(fits) {
            return Some(text.to_owned());
        }
        let message = format!("`{}` is no name at Google's", item.path);
        self.report.add_with_help(item.span, message, help);
        None
    }

    /// `["web"]`, or `{ web = "acme-web" }`: what the product calls `web` is called otherwise there.
    fn cloud_names(&mut self, item: &Item) -> BTreeMap<String, String> {
        if let DeValue::Table(_) = item.value {
            let Some(table) = item.table(self.report) else { return BTreeMap::new() };
            let parts: Vec<(String, Item)> = table.items().map(|part| (part.name.to_owned(), part)).collect();
            let named = parts.into_iter().filter_map(|(name, part)| Some((name, part.text(self.report)?.to_owned())));
            return named.collect();
        }
        item.texts(self.report).into_iter().map(|(_, text)| (text.to_owned(), text.to_owned())).collect()
    }

    /// `"default"`, `"machine"`, or a service account's key as a secret.
    fn google_login(&mut self, item: &Item) -> Option<GoogleLogin> {
        if is_secret(item.value) {
            return secret(item, self).map(GoogleLogin::Key);
        }
        match item.value.as_str() {
            Some("default") => return Some(GoogleLogin::Default),
            Some("machine") => return Some(GoogleLogin::Machine),
            _ => {}
        }
        let message = format!("`{}` is none of the ways to log in at Google's", item.path);
        let help = "`{ secret = \"file:/etc/upgraded/secrets/google.json\" }` for a service account's key file, `\"machine\"` \
                    for the account of a machine of Google's, `\"default\"` for what `gcloud` calls application-default";
        self.report.add_with_help(item.span.clone(), message, help);
        None
    }

    fn endpoint(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        let sound = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/");
        if sound {
            return Some(text.trim_end_matches('/').to_owned());
        }
        let message = format!("`{}` is no address of a server in Google's place", item.path);
        self.report.add_with_help(item.span.clone(), message, "for example `http://127.0.0.1:8080`");
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Deployment, GoogleLogin, SecretCheck};
    use crate::model::{Info, Role};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn parse(platform: &str, datastore: &str) -> Result<Deployment, String> {
        let plugin = |name: &str, role| {
            let info = Info {
                name: name.into(),
                version: "1".into(),
                role,
                needs: vec![],
                config_schema: "{}".into(),
                mysql: false,
            };
            (name.to_owned(), info)
        };
        let plugins = [("p", Role::Product), ("cloud-run", Role::Platform), ("cloud-sql", Role::Datastore)];
        let catalog: BTreeMap<String, Info> = plugins.map(|(name, role)| plugin(name, role)).into();
        let text = format!(
            "product = \"p\"\nversion = \"1\"\n[platform]\nplugin = \"cloud-run\"\ngoogle = {{ {platform} }}\n\
             [datastores.main]\nplugin = \"cloud-sql\"\ngoogle = {{ {datastore} }}\n"
        );
        let parsed = Deployment::parse("shop", Path::new("shop.toml"), &text, &catalog, SecretCheck::NameOnly);
        parsed.map_err(|mistakes| mistakes.render(false))
    }

    const REGION: &str = "project = \"acme\", region = \"europe-west1\"";
    const INSTANCE: &str = "project = \"acme\", instance = \"shop\"";

    #[test]
    fn what_may_be_used_of_a_project() {
        let key = "credentials = { secret = \"file:/etc/key.json\" }";
        let services = "services = { web = \"acme-web\" }, jobs = [\"migrate\"], endpoint = \"http://127.0.0.1:1/\"";
        let deployment = parse(&format!("{REGION}, {services}, {key}"), &format!("{INSTANCE}, drill = true")).unwrap();
        let region = deployment.platforms[0].grants.google.clone().unwrap();
        assert_eq!((region.services["web"].as_str(), region.jobs["migrate"].as_str()), ("acme-web", "migrate"));
        assert_eq!(region.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert!(matches!(region.login, GoogleLogin::Key(_)));
        let store = deployment.datastores[0].grants.google.clone().unwrap();
        assert_eq!((store.instance.as_str(), store.drill, store.login), ("shop", true, GoogleLogin::Default));
    }

    #[test]
    fn mistakes_are_named_with_what_would_be_right() {
        let services = "services = [\"web\"]";
        for (platform, datastore, right) in [
            (format!("project = \"acme\", {services}"), INSTANCE.to_owned(), "`europe-west1`"),
            (REGION.to_owned(), INSTANCE.to_owned(), "the services that may be changed"),
            (format!("{REGION}, {services}, credentials = \"hunter2\""), INSTANCE.to_owned(), "`\"machine\"`"),
            (format!("{REGION}, {services}, endpoint = \"x\""), INSTANCE.to_owned(), "`http://127.0.0.1:8080`"),
            (format!("{REGION}, {services}, regoin = \"x\""), INSTANCE.to_owned(), "`region`"),
            (format!("{REGION}, {services}"), "project = \"Acme Ltd\", instance = \"shop\"".to_owned(), "`acme-prod`"),
            (format!("{REGION}, {services}"), "project = \"acme\"".to_owned(), "gcloud sql instances list"),
        ] {
            let said = parse(&platform, &datastore).expect_err("a mistake");
            assert!(said.contains(right), "`{right}`: {said}");
        }
    }
}
