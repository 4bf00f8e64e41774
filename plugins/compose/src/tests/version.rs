//! What is edited: a key, tags, the files of a vendor's edition.

use super::*;

fn edits(fake: &FakeHost, settings: upgraded_sdk::serde_json::Value) -> Result<Vec<String>> {
    let edits = Compose::edits(&fake.call(settings), &fake.platform(), &hop())?;
    let shown = |edit: Edit| match edit.change {
        upgraded_sdk::Change::Set(values) => format!("{} {} = {}", edit.path, values[0].0, values[0].1),
        upgraded_sdk::Change::Content(_) => format!("{} as a whole", edit.path),
        upgraded_sdk::Change::Program(_) => format!("{} as a program", edit.path),
        upgraded_sdk::Change::Remove => format!("{} goes", edit.path),
    };
    Ok(edits.into_iter().map(shown).collect())
}

#[test]
fn a_version_key_is_edited() {
    let fake = fake();
    let settings = json!({ "version-key": "SHOP_VERSION", "version-text": "v{version}" });
    assert_eq!(edits(&fake, settings).unwrap(), [".env SHOP_VERSION = v1.4.0"]);
    assert!(edits(&fake, json!({})).unwrap().is_empty());
    fake.file("a.env", "SHOP_VERSION=v1.3.0\n");
    fake.file("b.env", "OTHER=1\n");
    let settings =
        json!({ "version-key": "SHOP_VERSION", "compose": { "env-files": ["a.env", "b.env"], "project": "shop" } });
    assert_eq!(edits(&fake, settings).unwrap(), ["a.env SHOP_VERSION = 1.4.0"]);
}

#[test]
fn tags_of_images_are_edited_where_they_are_written() {
    let fake = fake();
    fake.file(
        "compose.yaml",
        "x-web: &web\n  image: &image \"r:5000/shop/web:1.3.0\"   # the shop\nservices:\n  web: *web\n  init: { image: *image }\n  \
         worker:\n    extends: { file: base.yaml, service: worker }\n  proxy: { image: \"nginx:1\" }\n",
    );
    fake.file("base.yaml", "services:\n  worker: { image: 'r:5000/shop/worker:1.3.0@sha256:old' }\n");
    fake.file("compose.override.yaml", "services: { proxy: { image: '${REGISTRY:-r:5000}/shop/proxy:1.3.0' } }\n");
    fake.published("r:5000/shop/worker:1.4.0", "i-worker");
    let worker = fake.platform().images().look_up("r:5000/shop/worker:1.4.0").unwrap().digest;
    assert_eq!(
        edits(&fake, json!({ "version-services": ["web", "init", "worker", "proxy"] })).unwrap(),
        [
            "compose.yaml x-web.image = r:5000/shop/web:1.4.0".to_owned(),
            format!("base.yaml services.worker.image = r:5000/shop/worker:1.4.0@{worker}"),
            "compose.override.yaml services.proxy.image = ${REGISTRY:-r:5000}/shop/proxy:1.4.0".to_owned(),
        ]
    );
    let wrong = |name: &str| edits(&fake, json!({ "version-services": [name] })).unwrap_err().text().to_owned();
    assert_eq!(wrong("wev"), "`version-services`: the Compose files have no service `wev`; the nearest is `web`");
}

#[test]
fn a_tag_that_is_no_version_is_told() {
    let wrong = |image: &str| {
        let fake = fake();
        fake.file(".env", "WEB_IMAGE=shop/web:1.3.0\n");
        fake.file("compose.yaml", format!("services:\n  web:\n    image: {image}\n"));
        let error = edits(&fake, json!({ "version-services": ["web"] })).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        error.text().to_owned()
    };
    assert_eq!(
        wrong("\"shop/web:${SHOP_VERSION:-1}\""),
        "`version-services`: the image of `web` (`compose.yaml`, line 3) is `shop/web:${SHOP_VERSION:-1}`, whose tag is \
         what `SHOP_VERSION` says: `version-key = \"SHOP_VERSION\"` would be right"
    );
    assert!(wrong("${WEB_IMAGE}").contains("which is what `WEB_IMAGE` says"), "{}", wrong("${WEB_IMAGE}"));
    assert!(wrong("shop/web").ends_with("without a tag: the version that is installed would be right"));
    assert!(wrong("[").starts_with("`compose.yaml`, line "), "{}", wrong("["));
}

/// 1.3.0 and 1.4.0 of the vendor's edition; the operator has the former.
fn edition() -> FakeHost {
    let fake = fake();
    fake.tag("v1.3.0", "c130");
    fake.tag("v1.4.0", "c140");
    for (commit, version) in [("c130", "1.3.0"), ("c140", "1.4.0")] {
        fake.committed(commit, "README.md", version);
        fake.committed(
            commit,
            "docker/compose.yaml",
            &format!("services: {{ web: {{ image: 'shop/web:{version}' }} }}\n"),
        );
        fake.committed(commit, "docker/.env", "VENDORS=1\n");
        fake.committed(commit, "docker/proxy.conf", "listen 80;\n");
    }
    fake.committed("c130", "docker/old.conf", "old\n");
    fake.committed("c140", "docker/new.conf", "new\n");
    fake.committed_program("c140", "docker/start.sh", "exec web\n");
    fake.file("compose.yaml", "services: { web: { image: 'shop/web:1.3.0' } }\n");
    fake.file("old.conf", "old\n");
    fake.file("proxy.conf", "listen 80;\n");
    fake
}

#[test]
fn the_vendors_files_follow_the_release() {
    let fake = edition();
    let settings = json!({ "edition": { "under": "docker" } });
    let all = ["compose.yaml as a whole", "new.conf as a whole", "old.conf goes", "start.sh as a program"];
    assert_eq!(edits(&fake, settings.clone()).unwrap(), all);
    fake.file("compose.yaml", "services: { web: { image: 'shop/web:1.4.0' } }\n");
    fake.file("new.conf", "new\n");
    fake.remove_file("old.conf");
    // Whether it may be run is the host's to see.
    fake.file("start.sh", "exec web\n");
    assert_eq!(edits(&fake, settings.clone()).unwrap(), ["start.sh as a program"], "what is so already is left");
    let with_key = json!({ "edition": { "under": "docker" }, "version-key": "V" });
    assert_eq!(edits(&fake, with_key).unwrap(), ["start.sh as a program", ".env V = 1.4.0"]);
    let missing = json!({ "edition": { "under": "helm" } });
    let error = edits(&fake, missing).unwrap_err();
    assert_eq!(error.text(), "the vendor's edition 1.3.0 has no files in `helm`");
}

#[test]
fn a_vendors_file_that_was_changed_by_hand_is_shown() {
    let fake = edition();
    fake.file("compose.yaml", "services: { web: { image: 'shop/web:1.3.0', ports: ['80:80'] } }\n");
    fake.file("new.conf", "mine\n");
    let told = |settings| edits(&fake, settings).unwrap_err().text().to_owned();
    assert_eq!(
        told(json!({ "edition": { "under": "docker" } })),
        "files of the vendor's edition 1.3.0 were changed by hand:\n\
         --- compose.yaml (the vendor's)\n+++ compose.yaml (now)\n@@ -1 +1 @@\n\
         -services: { web: { image: 'shop/web:1.3.0' } }\n\
         +services: { web: { image: 'shop/web:1.3.0', ports: ['80:80'] } }\n\
         `new.conf` is new in 1.4.0, and another file of this name is there\n\
         move what is yours into `compose.override.yaml` or `.env` and put the vendor's file back, or name a file under `own` \
         to keep it as it is"
    );
    let own = json!({ "edition": { "under": "docker", "own": ["compose.yaml", "new.conf"] } });
    assert_eq!(edits(&fake, own).unwrap(), ["old.conf goes", "start.sh as a program"]);
}
