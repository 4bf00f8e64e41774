//! Real archives, on disk and from a server.

use super::tests::{checkout_of, shop_folder};
use super::*;
use crate::driver::testing;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

fn file(builder: &mut tar::Builder<impl io::Write>, path: &str, mode: u32, text: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(mode);
    builder.append_data(&mut header, path, text.as_bytes()).unwrap();
}

fn packed(version: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    file(&mut builder, &format!("shop-{version}/VERSION"), 0o644, version);
    file(&mut builder, &format!("shop-{version}/docker/a \"quoted\" name"), 0o644, "\r\nx");
    file(&mut builder, &format!("shop-{version}/.gitattributes"), 0o644, "* text=auto eol=lf\n");
    file(&mut builder, &format!("shop-{version}/docker/start"), 0o755, "#!/bin/sh\n");
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, format!("shop-{version}/link"), "VERSION").unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn an_archive_is_a_commit_with_its_bytes_and_programs_and_stays_what_it_was() {
    let folder = shop_folder();
    let path = folder.path().join("shop-v1.tar.gz");
    fs::write(&path, packed("1")).unwrap();
    let checkout = checkout_of(folder.path(), &folder.path().join("shop-{tag}.tar.gz").display().to_string());
    let cx = testing::changing(folder.path(), "r1-stage");
    let commit = checkout.fetch(&cx, "v1").await.unwrap();
    let files = checkout.files(&cx, &commit, "").await.unwrap();
    let told: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.executable)).collect();
    let expected =
        [(".gitattributes", false), ("VERSION", false), ("docker/a \"quoted\" name", false), ("docker/start", true)];
    assert_eq!(told, expected);
    assert_eq!(checkout.read(&cx, &commit, "docker/a \"quoted\" name").await.unwrap(), b"\r\nx");
    fs::write(&path, packed("other")).unwrap();
    assert_eq!(checkout.fetch(&cx, "v1").await.unwrap(), commit, "what was fetched once stays");
    assert_eq!(checkout.releases(&cx).await.unwrap(), [("v1".to_owned(), commit.clone())]);
    let other = testing::changing(folder.path(), "r2-stage");
    fs::write(folder.path().join("shop-v2.tar.gz"), zstd::encode_all(&b"services: {}\n"[..], 1).unwrap()).unwrap();
    let error = checkout.fetch(&other, "v3").await.unwrap_err();
    assert!(error.to_string().contains("there is no `"), "{error}");
    let again = tempfile::tempdir().unwrap();
    fs::write(again.path().join("shop-v1.tar.gz"), packed("1")).unwrap();
    let twin = checkout_of(again.path(), &again.path().join("shop-{tag}.tar.gz").display().to_string());
    let cx = testing::changing(again.path(), "r1-stage");
    assert_eq!(twin.fetch(&cx, "v1").await.unwrap(), commit, "the same bytes come to the same commit");
}

#[tokio::test]
async fn a_single_file_comes_from_a_server_that_leads_elsewhere() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/1/compose-1.yaml", get(|| async { (StatusCode::FOUND, [(LOCATION, "/cdn/x")]) }))
        .route("/cdn/x", get(|| async { "services: {}\n" }))
        .route("/away/compose-away.yaml", get(|| async { "\n<!DOCTYPE html><title>Sign in</title>" }))
        .route("/broken/compose-broken.yaml", get(|| async { StatusCode::BAD_GATEWAY }));
    tokio::spawn(async { axum::serve(listener, app).await });
    let folder = shop_folder();
    let checkout = checkout_of(folder.path(), &format!("http://{address}/{{tag}}/compose-{{tag}}.yaml#compose.yaml"));
    let cx = testing::changing(folder.path(), "r1-stage");
    let commit = checkout.fetch(&cx, "1").await.unwrap();
    let files = checkout.files(&cx, &commit, "").await.unwrap();
    assert_eq!(files, [Tracked { path: "compose.yaml".into(), executable: false }]);
    assert_eq!(checkout.read(&cx, &commit, "compose.yaml").await.unwrap(), b"services: {}\n");
    let missing = checkout.fetch(&cx, "2").await.unwrap_err();
    assert!(matches!(&missing, VerbError::NotFound(_)), "{missing}");
    let broken = checkout.fetch(&cx, "broken").await.unwrap_err();
    assert!(broken.to_string().contains("502"), "{broken}");
    let page = checkout.fetch(&cx, "away").await.unwrap_err();
    assert!(matches!(&page, VerbError::Unavailable(why) if why.contains("a page")), "{page}");
    assert_eq!(checkout.releases(&cx).await.unwrap().len(), 1, "it is asked for again");
}

#[test]
fn what_is_no_release_is_not_kept() {
    let single = |name: &str, bytes: &[u8]| {
        super::archive::can_be_single("https://example.com/x", name, bytes).map_err(|why| why.to_string())
    };
    for (name, bytes) in
        [("compose.yaml", &b"<<: *x\n"[..]), ("index.html", b"<html>"), ("config.xml", b"<?xml?>"), (".env", b"")]
    {
        assert_eq!(single(name, bytes), Ok(()), "{name}");
    }
    assert!(single("shop-1.zip", b"PK").unwrap_err().contains("no archive that is known"));
    assert!(single("shop-1.tar.gz", b"<html><body>Sign in").unwrap_err().contains("a page"));
    assert!(single("compose.yaml", b"\xef\xbb\xbf <HTML>").unwrap_err().contains("a page"));
}

#[tokio::test]
async fn an_archive_that_leads_out_is_refused() {
    let folder = shop_folder();
    let evil = |name: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, &b"x"[..]).unwrap();
        builder.into_inner().unwrap()
    };
    let checkout = checkout_of(folder.path(), &folder.path().join("{tag}.tar").display().to_string());
    let cx = testing::changing(folder.path(), "r1-stage");
    for (tag, name) in [("up", &b"../x"[..]), ("root", b"/x"), ("git", b"a/.GIT/config")] {
        fs::write(folder.path().join(format!("{tag}.tar")), evil(name)).unwrap();
        let error = checkout.fetch(&cx, tag).await.unwrap_err();
        assert!(error.to_string().contains("leads out of the release"), "{error}");
    }
    assert!(checkout.releases(&cx).await.unwrap().is_empty());
}
