//! The `gcloud` command agrees with the double. Only with the feature of this name, for it is not on every machine.

#![allow(clippy::unwrap_used, reason = "a test")]

use scratch_google::{Google, Image, Response};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const REGION: &str = "--region=europe-west1";

struct Cloud {
    google: Google,
    /// Its settings, and the token.
    folder: tempfile::TempDir,
}

impl Cloud {
    fn start() -> Self {
        let google = Google::start("acme");
        for version in ["1", "2"] {
            let program = Image::server(move |_, _| Response::text(200, version));
            google.push(&format!("europe-west1-docker.pkg.dev/acme/apps/web:{version}"), program);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), google.token()).unwrap();
        Self { google, folder }
    }

    /// What it printed, as JSON.
    fn say(&self, arguments: &[&str]) -> Value {
        let at = |name: &str| self.folder.path().join(name);
        let address = self.google.metadata_host();
        let (host, port) = address.split_once(':').unwrap();
        let mut gcloud = Command::new("gcloud");
        gcloud.args(arguments).args(["--quiet", "--format=json"]);
        gcloud.env("CLOUDSDK_CONFIG", at("config")).env("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", at("token"));
        gcloud.env("CLOUDSDK_CORE_PROJECT", "acme").env("CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "1");
        gcloud.env("CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "1");
        for api in ["RUN", "SQL"] {
            gcloud.env(format!("CLOUDSDK_API_ENDPOINT_OVERRIDES_{api}"), format!("http://{address}/"));
        }
        // It puts the region before the host's name.
        gcloud.env("CLOUDSDK_PROXY_TYPE", "http_no_tunnel");
        gcloud.env("CLOUDSDK_PROXY_ADDRESS", host).env("CLOUDSDK_PROXY_PORT", port);
        let output = gcloud.output().expect("the `gcloud` command is on this machine");
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "gcloud {arguments:?}:\n{why}\n{:#?}", self.google.violations());
        if said.trim().is_empty() { Value::Null } else { serde_json::from_str(&said).unwrap() }
    }
}

#[test]
fn services_are_described_updated_and_given_traffic() {
    let cloud = Cloud::start();
    let image = |version: &str| format!("europe-west1-docker.pkg.dev/acme/apps/web:{version}");
    let run = |arguments: &[&str]| cloud.say(&[&["run", "services"], arguments, &[REGION]].concat());
    cloud.google.deploy("projects/acme/locations/europe-west1/services/web", &image("1"));
    let described = run(&["describe", "web"]);
    assert_eq!(described["status"]["conditions"][0]["status"], "True");
    let old = described["status"]["latestReadyRevisionName"].as_str().unwrap().to_owned();
    let updated = run(&["update", "web", &format!("--image={}", image("2")), "--no-traffic", "--tag=next"]);
    assert_ne!(updated["status"]["latestReadyRevisionName"], old);
    let shares = |service: &Value| -> Vec<(String, i64)> {
        let targets = service["status"]["traffic"].as_array().unwrap().iter();
        let share = |target: &Value| target["percent"].as_i64().filter(|percent| *percent > 0);
        targets.filter_map(|t| Some((t["revisionName"].as_str()?.to_owned(), share(t)?))).collect()
    };
    assert_eq!(shares(&updated), [(old.clone(), 100)]);
    run(&["update-traffic", "web", "--to-latest"]);
    let new = updated["status"]["latestReadyRevisionName"].as_str().unwrap();
    assert_eq!(shares(&run(&["describe", "web"])), [(new.to_owned(), 100)]);
    run(&["update-traffic", "web", &format!("--to-revisions={old}=100")]);
    assert_eq!(shares(&run(&["describe", "web"])), [(old, 100)]);
    assert_eq!(run(&["list"]).as_array().unwrap().len(), 1);
    cloud.google.assert_held_to_the_documents();
}

#[test]
fn backups_are_created_listed_and_restored() {
    let cloud = Cloud::start();
    let data = cloud.folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    cloud.google.attach("acme", "main", std::sync::Arc::new(scratch_google::Folder::at(&data)));
    let write = |text: &str| std::fs::write(data.join("orders"), text).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path.join("orders")).unwrap();
    cloud.say(&["sql", "instances", "create", "main", "--database-version=POSTGRES_15", "--tier=db-f1-micro", REGION]);
    write("one");
    cloud.say(&["sql", "backups", "create", "--instance=main"]);
    let listed = cloud.say(&["sql", "backups", "list", "--instance=main"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["status"]), (1, &json!("SUCCESSFUL")));
    write("two");
    cloud.say(&["sql", "backups", "restore", listed[0]["id"].as_str().unwrap(), "--restore-instance=main"]);
    assert_eq!(read(&data), "one");
    cloud.google.assert_held_to_the_documents();
}
