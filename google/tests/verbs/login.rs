//! Who we are, and what is missing where we may not.

use crate::{NOTHING, answered, full, image, nobody, place, start};
use upgraded_google::{CloudRun, Error, Login, Place};

#[tokio::test]
async fn by_key_and_by_the_machine() {
    let (google, by_key) = start();
    google.deploy(&full("web"), &image("1"));
    let metadata = Some(format!("http://{}", google.metadata_host()));
    let by_machine = place(&google, Login::Machine { metadata });
    for place in [by_key, by_machine] {
        assert_eq!(CloudRun::new(place).names().await.unwrap(), ["web"]);
    }
    google.assert_held_to_the_documents();
}

/// It lets only its invokers in, at each of its addresses.
#[tokio::test]
async fn a_closed_service_is_asked_with_an_identity() {
    let (google, _) = start();
    let address = google.deploy(&full("web"), &image("1"));
    google.close(&address);
    let metadata = Some(format!("http://{}", google.metadata_host()));
    let run = CloudRun::new(place(&google, Login::Machine { metadata }));
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
    run.deploy("web", "web-r1-h0", &image("2"), &NOTHING, &nobody).await.unwrap();
    assert_eq!(run.ask("web", true, "/").await.unwrap().body, b"2");
    let unknown = reqwest::get(&address).await.unwrap();
    assert_eq!(unknown.status().as_u16(), 403);

    google.withdraw("run.routes.invoke");
    assert_eq!(answered(&run, "web").await.0, 403);
}

#[tokio::test]
async fn a_key_that_is_none_is_not_repeated() {
    let (google, _) = start();
    for (text, right) in [
        ("hunter2", "no JSON"),
        ("{\"type\":\"x\",\"k\":\"hunter2\"}", "`service_account`"),
        ("{\"type\":\"service_account\",\"private_key\":\"hunter2\"}", "not what a key file"),
    ] {
        let place = place(&google, Login::Key(text.into()));
        assert!(!format!("{place:?}").contains("hunter2"));
        let error = CloudRun::new(place).names().await.unwrap_err().to_string();
        assert!(error.contains(right) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let (google, right) = start();
    google.deploy(&full("web"), &image("1"));
    let run = |place: Place| CloudRun::new(place);
    let missing = run(right.clone()).service("wbe").await.unwrap_err();
    assert!(matches!(&missing, Error::NotFound(text) if text.contains("`wbe` in `europe-west1`")), "{missing}");
    let elsewhere = run(Place { project: "acne".into(), ..right.clone() }).service("web").await.unwrap_err();
    assert!(matches!(&elsewhere, Error::Denied(text) if text.contains("`acne`")), "{elsewhere}");
    let elsewhere = run(Place { region: "europe-north9".into(), ..right.clone() }).service("web").await.unwrap_err();
    assert!(matches!(&elsewhere, Error::Denied(text) if text.contains("europe-north9")), "{elsewhere}");
    google.withdraw("run.services.get");
    let denied = run(right.clone()).service("web").await.unwrap_err();
    assert!(matches!(&denied, Error::Denied(text) if text.contains("run.services.get")), "{denied}");
    google.grant("run.services.get");
    // A token that ended is fetched anew, by whoever asks next.
    let after = run(right);
    after.service("web").await.unwrap();
    google.expire_tokens();
    assert!(matches!(after.service("web").await, Ok(_) | Err(Error::Denied(_))));
}
