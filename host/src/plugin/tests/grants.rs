//! The second key: what was not granted is refused, and the refusal says what would grant it.

use super::*;

async fn denied(what: &str, with: &str) -> String {
    let failure = refused(Bench::new().detect_with(what, with).await.unwrap_err());
    assert_eq!(failure.code, "denied", "{}", failure.message);
    failure.message
}

#[tokio::test]
async fn a_product_gets_nothing_that_was_not_granted() {
    insta::assert_snapshot!(denied("read", "config.toml").await);
    insta::assert_snapshot!(denied("services", "").await);
    insta::assert_snapshot!(denied("fetch", "v1").await);
    insta::assert_snapshot!(denied("run", "migrate").await);
    insta::assert_snapshot!(denied("http", "http://127.0.0.1:9/").await);
}

#[tokio::test]
async fn a_datastore_gets_nothing_that_was_not_granted() {
    let bench = Bench::new();
    let denied = async |what: &str, with: &str, grants: Grants| {
        let store = bench.store(what, with, grants).await;
        let failure = refused(store.mark(&Step::new().cx).await.unwrap_err());
        assert_eq!(failure.code, "denied", "{}", failure.message);
        failure.message
    };
    insta::assert_snapshot!(denied("trees", "files", Grants::default()).await);
    insta::assert_snapshot!(denied("sqlite", "app.db", Grants::default()).await);
    insta::assert_snapshot!(denied("postgres", "", Grants::default()).await);
    insta::assert_snapshot!(denied("query", "", Grants::default()).await);
    let files = || Grants { paths: [("files".into(), "/srv/files".into())].into(), ..Grants::default() };
    insta::assert_snapshot!(denied("trees", "../etc", files()).await);
    insta::assert_snapshot!(denied("put-back", "shop/r1-backup/other/files", files()).await);
    insta::assert_snapshot!(denied("put-back", "other/r1-backup/main/files", files()).await);
    insta::assert_snapshot!(denied("mysql", "", Grants::default()).await);
}
