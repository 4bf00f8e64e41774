//! Cloud Run and Cloud SQL as people deploy to them.

use super::*;

/// The published procedure of Tessallite, as a script.
const UPGRADE: &str = r#"#!/bin/bash
set -eu
PROJECT=acme REGION=europe-west1
IMAGES="europe-west1-docker.pkg.dev/$PROJECT/tessallite"
gcloud config set project "$PROJECT"
gcloud sql backups create --instance=tessallite
SERVICES=(model-service query-router
  optimizer scheduler frontend gateway)
for SERVICE in "${SERVICES[@]}"; do
  gcloud run services update "$SERVICE" \
    --image "$IMAGES/$SERVICE:${TAG:-1.4.0}" \
    --region "$REGION" --quiet
  curl "https://$SERVICE.example.com/api/health"   # {"status":"ok"}
done
"#;

#[test]
fn the_script_of_tessallite() {
    let project = Project::with(&[("upgrade.sh", UPGRADE)]);
    let (text, deployment) = project.proposed();
    let google = deployment.platforms[0].grants.google.clone().unwrap();
    assert_eq!((google.project.as_str(), google.region.as_str()), ("acme", "europe-west1"));
    assert_eq!((deployment.version.as_str(), &stores(&deployment)[..]), ("1.4.0", &["cloud-sql"][..]));
    insta::assert_snapshot!(text);
    // Its folder is a Compose project as well, whose files say more.
    project.example("tessallite", "");
    let text = project.proposal();
    let also =
        "# Also here, and not proposed: services of Cloud Run (`upgrade.sh`)\n[platform]\nplugin = \"compose\"\n";
    assert!(text.contains(also), "{text}");
}

#[test]
fn services_in_files_and_steps_of_a_build() {
    let service = |name: &str, more: &str| {
        format!(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: {name}\n  labels: {{ cloud.googleapis.com/location: europe-west4 }}\n\
             spec:\n  template:\n    metadata:\n      annotations: {{ {more} }}\n    spec:\n      containers:\n        - image: gcr.io/acme/{name}:v2.0.1\n          \
             livenessProbe: {{ httpGet: {{ path: /healthz }} }}\n"
        )
    };
    let sql = "run.googleapis.com/cloudsql-instances: 'acme:europe-west4:shop,acme:europe-west4:ledger'";
    let build = r#"
substitutions: { _REGION: europe-west4 }
steps:
  - { name: gcr.io/cloud-builders/docker, args: [build, .] }
  - name: gcr.io/google.com/cloudsdktool/cloud-sdk
    entrypoint: gcloud
    args: [run, deploy, api, --image, "gcr.io/acme/api:$SHORT_SHA", --region, "${_REGION}"]
  - name: gcr.io/google.com/cloudsdktool/cloud-sdk
    entrypoint: bash
    args: [-c, "gcloud run jobs update migrate --image gcr.io/acme/other/jobs:v2.0.1"]
  - name: gcr.io/google.com/cloudsdktool/cloud-sdk
    args: [gcloud, run, deploy, worker, --image=gcr.io/acme/shop-jobs:v2.0.1]
"#;
    let project = Project::with(&[
        ("deploy/web.yaml", &format!("{}---\n{}", service("web", sql), service("admin", ""))),
        ("other.yaml", "apiVersion: v1\nkind: Service\nmetadata: { name: no }\n"),
        ("cloudbuild.yaml", build),
    ]);
    let (text, deployment) = project.proposed();
    assert_eq!(deployment.version, "2.0.1");
    insta::assert_snapshot!(text);
}

#[test]
fn a_makefile_is_a_script_as_well() {
    let make = "REGION ?= europe-west1\nSERVICES := web api\ndeploy:\n\tfor s in $(SERVICES); do \\\n\t  gcloud run deploy $$s \
                --image gcr.io/acme/$$s:1.0.0 --region=$(REGION); done\n\t@gcloud beta run deploy --quiet 'admin' --source . # gcloud run deploy no\n\
                \tgcloud run deploy $$(name) --image x && echo gcloud run deploy no\n";
    let (_, deployment) = Project::with(&[("Makefile", make)]).proposed();
    let google = deployment.platforms[0].grants.google.clone().unwrap();
    assert_eq!(google.services.keys().map(String::as_str).collect::<Vec<_>>(), ["admin", "api", "web"]);
    assert_eq!((google.project.as_str(), google.region.as_str()), ("acme", "europe-west1"));
}

/// Names that stand for names are not taken for them.
#[test]
fn a_written_procedure_leaves_its_names_to_be_said() {
    let procedure = "GCP upgrade\n- Back up Cloud SQL.\n``bash gcloud sql backups create --instance=INSTANCE_NAME `` Verify the backup.\n\
        - For each service:\n``bash gcloud run services update SERVICE_NAME \\ --image IMAGE_REPOSITORY/SERVICE_NAME:NEW_TAG \\ --region REGION ``\n";
    let (text, deployment) = Project::with(&[("upgrade.txt", procedure)]).proposed();
    assert_eq!((deployment.version.as_str(), deployment.datastores.len()), ("0.0.0", 0));
    insta::assert_snapshot!(text);
}

#[test]
fn a_service_without_a_name_is_named_with_its_line() {
    let project =
        Project::with(&[("service.yaml", "---\napiVersion: serving.knative.dev/v1\nkind: Service\nspec: {}\n")]);
    let why =
        "`service.yaml`, line 2: this service has no `metadata.name`; what it is called on Cloud Run would be right";
    assert_eq!(project.mistake(), why);
}
