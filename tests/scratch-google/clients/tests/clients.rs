//! Google's own clients agree with the double: they log in, read its answers, follow its operations and understand its
//! errors, and every request that they send is one that the discovery documents allow.

#![allow(clippy::unwrap_used, reason = "a test")]

use google_cloud_auth::credentials::{Credentials, mds, service_account};
use google_cloud_gax::error::rpc::Code;
use google_cloud_gax::exponential_backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use google_cloud_lro::Poller as _;
use google_cloud_run_v2::client::{Jobs, Revisions, Services};
use google_cloud_run_v2::model::{
    Condition, Container, ExecutionTemplate, Job, RevisionTemplate, Service, TaskTemplate, TrafficTarget,
    TrafficTargetAllocationType, condition,
};
use google_cloud_sql_v1::client::{SqlBackupRunsService, SqlInstancesService, SqlOperationsService};
use google_cloud_sql_v1::model::{
    BackupRun, DatabaseInstance, InstancesRestoreBackupRequest, Operation, RestoreBackupContext, Settings,
    SqlBackupRunStatus, SqlDatabaseVersion, operation,
};
use google_cloud_wkt::FieldMask;
use scratch_google::{Fault, Google, Image, Refusal, Response};
use std::time::Duration;

const PLACE: &str = "projects/acme/locations/europe-west1";
const WEB: &str = "projects/acme/locations/europe-west1/services/web";

fn start() -> (Google, Credentials) {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let google = Google::start("acme");
    for version in ["1", "2"] {
        google.push(&format!("app:{version}"), Image::server(move |_, _| Response::text(200, version)));
    }
    let key = google.account("upgraded", "acme").json().clone();
    let scopes = service_account::AccessSpecifier::from_scopes(["https://www.googleapis.com/auth/cloud-platform"]);
    let credentials = service_account::Builder::new(key).with_access_specifier(scopes).build().unwrap();
    (google, credentials)
}

fn impatient() -> ExponentialBackoff {
    let short = Duration::from_millis(10);
    ExponentialBackoffBuilder::new().with_initial_delay(short).with_maximum_delay(short * 5).build().unwrap()
}

async fn services(google: &Google, credentials: &Credentials) -> Services {
    let builder = Services::builder().with_endpoint(google.url()).with_credentials(credentials.clone());
    builder.with_polling_backoff_policy(impatient()).with_backoff_policy(impatient()).build().await.unwrap()
}

fn template(image: &str) -> RevisionTemplate {
    RevisionTemplate::new().set_containers([Container::new().set_image(image)])
}

fn mask(path: &str) -> FieldMask {
    FieldMask::default().set_paths([path])
}

fn state(condition: Option<&Condition>) -> condition::State {
    condition.expect("a condition").state.clone()
}

#[tokio::test]
async fn cloud_run() {
    let (google, credentials) = start();
    let services = services(&google, &credentials).await;
    let wanted = Service::new().set_template(template("app:1"));
    let create = services.create_service().set_parent(PLACE).set_service_id("web").set_service(wanted);
    let made = create.poller().until_done().await.unwrap();
    assert_eq!((&*made.name, made.generation, made.observed_generation), (WEB, 1, 1));
    assert_eq!(state(made.terminal_condition.as_ref()), condition::State::ConditionSucceeded);
    // A change that moves no traffic yet.
    let old = made.latest_ready_revision.rsplit('/').next().unwrap().to_owned();
    let by_revision =
        |name: &str| TrafficTarget::new().set_type(TrafficTargetAllocationType::Revision).set_revision(name);
    let change = Service::new()
        .set_name(WEB)
        .set_etag(&made.etag)
        .set_template(template("app:2").set_revision("web-next"))
        .set_traffic([by_revision(&old).set_percent(100), by_revision("web-next").set_tag("next")]);
    let both = FieldMask::default().set_paths(["template", "traffic"]);
    let update = services.update_service().set_service(change.clone()).set_update_mask(both.clone());
    let staged = update.poller().until_done().await.unwrap();
    let tagged = staged.traffic_statuses.iter().find(|target| target.tag == "next").unwrap();
    assert!(tagged.uri.starts_with("http://127.0.0.1:") && tagged.uri != staged.uri);
    // The etag of before is a conflict.
    let stale = services.update_service().set_service(change).set_update_mask(both).send().await.unwrap_err();
    assert_eq!(stale.status().unwrap().code, Code::Aborted);
    assert_eq!(stale.http_status_code(), Some(409));
    // A revision that can't start is the operation's error.
    let broken = Service::new().set_name(WEB).set_template(template("absent:1"));
    let update = services.update_service().set_service(broken).set_update_mask(mask("template"));
    let failed = update.poller().until_done().await.unwrap_err();
    assert_eq!(failed.status().unwrap().code, Code::NotFound);
    assert!(failed.status().unwrap().message.contains("Image 'absent:1' not found."));
    let service = services.get_service().set_name(WEB).send().await.unwrap();
    let terminal = service.terminal_condition.unwrap();
    assert_eq!(terminal.state, condition::State::ConditionFailed);
    assert_eq!(terminal.reasons, Some(condition::Reasons::Reason(condition::CommonReason::RevisionFailed)));
    let revisions = Revisions::builder().with_endpoint(google.url()).with_credentials(credentials.clone());
    let all = revisions.build().await.unwrap().list_revisions().set_parent(WEB).send().await.unwrap();
    assert_eq!(all.revisions.len(), 3);
    // A missing right and a service that is not there have codes of their own.
    google.withdraw("run.services.get");
    let denied = services.get_service().set_name(WEB).send().await.unwrap_err();
    assert_eq!(denied.status().unwrap().code, Code::PermissionDenied);
    google.grant("run.services.get");
    let absent = services.get_service().set_name(format!("{WEB}-absent")).send().await.unwrap_err();
    assert_eq!(absent.status().unwrap().code, Code::NotFound);
    // The client asks again by itself where nothing can have happened.
    google.inject(Fault::refused("services.get", Refusal::unavailable()).times(2));
    services.get_service().set_name(WEB).send().await.unwrap();
    services.delete_service().set_name(WEB).poller().until_done().await.unwrap();
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn jobs() {
    let (google, credentials) = start();
    google.push("migrate:1", Image::task(|environment| i32::from(environment.arguments.is_empty())));
    let builder = Jobs::builder().with_endpoint(google.url()).with_credentials(credentials);
    let jobs = builder.with_polling_backoff_policy(impatient()).build().await.unwrap();
    let container = Container::new().set_image("migrate:1").set_args(["up"]);
    let tasks = ExecutionTemplate::new().set_template(TaskTemplate::new().set_containers([container]));
    let create = jobs.create_job().set_parent(PLACE).set_job_id("migrate").set_job(Job::new().set_template(tasks));
    let job = create.poller().until_done().await.unwrap();
    let execution = jobs.run_job().set_name(&job.name).set_etag(&job.etag).poller().until_done().await.unwrap();
    assert_eq!((execution.succeeded_count, execution.failed_count), (1, 0));
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_machine_of_googles_logs_in_by_its_metadata_server() {
    let (google, _) = start();
    let endpoint = format!("http://{}", google.metadata_host());
    let credentials = mds::Builder::default().with_endpoint(endpoint).build().unwrap();
    let services = services(&google, &credentials).await;
    services.list_services().set_parent(PLACE).send().await.unwrap();
    assert!(google.exchanges()[0].caller.starts_with("machine@"));
}

#[tokio::test]
async fn cloud_sql() {
    let (google, credentials) = start();
    let (url, tried) = (google.url(), impatient());
    let instances = SqlInstancesService::builder().with_endpoint(url).with_credentials(credentials.clone());
    let instances = instances.with_backoff_policy(tried).build().await.unwrap();
    let backups = SqlBackupRunsService::builder().with_endpoint(url).with_credentials(credentials.clone());
    let backups = backups.build().await.unwrap();
    let operations = SqlOperationsService::builder().with_endpoint(url).with_credentials(credentials);
    let operations = operations.build().await.unwrap();
    let ended = async |operation: Operation| -> Operation {
        let mut operation = operation;
        while operation.status != operation::SqlOperationStatus::Done {
            tokio::time::sleep(Duration::from_millis(10)).await;
            operation = operations.get().set_project("acme").set_operation(&operation.name).send().await.unwrap();
        }
        assert!(operation.error.is_none(), "{operation:?}");
        operation
    };
    let wanted = DatabaseInstance::new()
        .set_name("main")
        .set_database_version(SqlDatabaseVersion::Postgres15)
        .set_settings(Settings::new().set_tier("db-custom-1-3840"));
    ended(instances.insert().set_project("acme").set_body(wanted).send().await.unwrap()).await;
    let run = BackupRun::new().set_description("before 2.0");
    let insert = || backups.insert().set_project("acme").set_instance("main");
    let operation = ended(insert().set_body(run).send().await.unwrap()).await;
    let id = operation.backup_context.unwrap().backup_id;
    let all = backups.list().set_project("acme").set_instance("main").send().await.unwrap();
    assert_eq!((all.items[0].id, &all.items[0].status), (id, &SqlBackupRunStatus::Successful));
    let context = RestoreBackupContext::new().set_backup_run_id(id).set_instance_id("main").set_project("acme");
    let request = InstancesRestoreBackupRequest::new().set_restore_backup_context(context);
    let restore = || instances.restore_backup().set_project("acme").set_instance("main").set_body(request.clone());
    google.inject(Fault::stuck_operation("restoreBackup"));
    let stuck = restore().send().await.unwrap();
    // No status stands in Cloud SQL's refusals: the client has the number of HTTP and the reason.
    let busy = insert().set_body(BackupRun::new()).send().await.unwrap_err();
    assert_eq!(busy.http_status_code(), Some(409));
    assert!(format!("{:?}", busy.status().unwrap().details).contains("operationInProgress"));
    google.end_stuck_operations();
    ended(stuck).await;
    ended(restore().send().await.unwrap()).await;
    google.assert_held_to_the_documents();
}
