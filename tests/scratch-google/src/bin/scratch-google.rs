//! The double by hand: one project, one service with two images, one instance, until Ctrl-C.

use scratch_google::{Google, Image, Response};
use serde_json::json;

const PROJECT: &str = "scratch";
const IMAGES: &str = "europe-west1-docker.pkg.dev/scratch/apps/hello";

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse());
    let Ok(port) = port else {
        eprintln!("scratch-google [PORT]");
        std::process::exit(2);
    };
    let google = Google::start_at(PROJECT, port);
    for version in ["1.0.0", "1.1.0"] {
        let image = Image::server(move |_, _| Response::json(&json!({ "status": "ok", "version": version })));
        google.push(&format!("{IMAGES}:{version}"), image);
    }
    let url = google.url();
    println!("Cloud Run and Cloud SQL: {url}");
    println!("project: {PROJECT}; images: {IMAGES}:1.0.0, {IMAGES}:1.1.0");
    println!("a token: {}", google.token());
    println!("for clients on a machine of Google's: GCE_METADATA_HOST={}", google.metadata_host());
    tokio::signal::ctrl_c().await
}
