//! Registries that want to do harm: whatever they say is bounded, held against its digest, and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use milepost::core::limits;
use milepost::wasm_plugins::Kept;
use milepost::wasm_plugins::oci_registry::RegistryError;

use super::{Answer, Digest, Logins, Reference, Registries, Registry, Value, component, fs, json};

/// Nobody waits longer than that here.
const PATIENCE: Duration = Duration::from_millis(300);

/// Pulls `words:1` with a login, and with nothing kept before; nothing is kept afterwards.
async fn pull(registry: &Registry) -> Result<Vec<u8>, RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    let login = json!({ "auths": { registry.host(): { "auth": "bWU6czNjcmV0" } } });
    let registries = Registries::new(Logins::read(&login.to_string()).unwrap());
    let registries = registries.patience(PATIENCE, PATIENCE * 4);
    let reference = Reference::parse(&registry.source("words:1"))
        .unwrap()
        .unwrap();
    let kept = Kept::at(folder.path().join("kept"));
    let pulled = registries.pull(&reference, None, &kept).await;
    assert!(!folder.path().join("kept").exists());
    pulled.map(|pulled| pulled.component)
}

/// A registry that has a component as `words:1`.
async fn registry() -> (Registry, Vec<u8>) {
    let registry = Registry::new();
    let bytes = fs::read(component("text")).unwrap();
    let reference = Reference::parse(&registry.source("words:1"))
        .unwrap()
        .unwrap();
    let registries = Registries::new(Logins::default());
    registries.push(&reference, &bytes).await.unwrap();
    assert_eq!(pull(&registry).await.unwrap(), bytes);
    (registry, bytes)
}

/// The error of a registry that gives another manifest.
async fn refused(change: impl Fn(&Registry, &mut Value)) -> String {
    let (registry, _) = registry().await;
    let (mut manifest, _) = registry.manifest("words", "1");
    change(&registry, &mut manifest);
    registry.put_manifest("words", "1", &manifest);
    pull(&registry).await.unwrap_err().to_string()
}

type Change = fn(&Registry, &mut Value);

#[tokio::test]
async fn a_manifest_that_is_not_of_a_component_is_refused() {
    let cases: [(&str, Change); 15] = [
        (
            "of type `application/vnd.oci.image.index.v1+json`",
            |_, manifest| {
                manifest["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
            },
        ),
        ("the manifest is not what belongs there", |_, manifest| {
            *manifest = json!([])
        }),
        (
            "the config is of type `application/vnd.oci.image.config.v1+json`",
            |_, manifest| {
                manifest["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
            },
        ),
        ("the layer is of type", |_, manifest| {
            manifest["layers"][0]["mediaType"] =
                json!("application/vnd.oci.image.layer.v1.tar+gzip");
        }),
        ("it has 0 layers", |_, manifest| {
            manifest["layers"] = json!([])
        }),
        ("it has 10000 layers", |_, manifest| {
            manifest["layers"] = json!(vec![manifest["layers"][0].clone(); 10_000]);
        }),
        ("no SHA-256 digest: sha256:../../x", |_, manifest| {
            manifest["layers"][0]["digest"] = json!("sha256:../../x");
        }),
        ("no SHA-256 digest: sha512:00", |_, manifest| {
            manifest["config"]["digest"] = json!("sha512:00");
        }),
        ("the component has 67108865 bytes", |_, manifest| {
            manifest["layers"][0]["size"] = json!(limits::COMPONENT_BYTES + 1);
        }),
        ("the component has 1000000000000 bytes", |_, manifest| {
            manifest["layers"][0]["size"] = json!(1_000_000_000_000_u64);
        }),
        ("the config has 4194305 bytes", |_, manifest| {
            manifest["config"]["size"] = json!(limits::OCI_JSON_BYTES + 1);
        }),
        ("the answer is larger than 7 bytes", |_, manifest| {
            manifest["layers"][0]["size"] = json!(7);
        }),
        (
            "its config does not name its layer",
            |registry, manifest| {
                let config = json!({ "layerDigests": [Digest::of(b"other")] }).to_string();
                let media_type = "application/vnd.wasm.config.v0+json";
                manifest["config"] = registry.put_blob(media_type, config.as_bytes());
            },
        ),
        ("the registry has no component sha256:", |_, manifest| {
            let nowhere = json!(Digest::of(b"nowhere"));
            manifest["layers"][0]["digest"] = nowhere;
            manifest["config"]["size"] = manifest["config"]["size"].take();
            let config = json!({}).to_string();
            manifest["config"]["digest"] = json!(Digest::of(config.as_bytes()));
        }),
        ("the registry has no config sha256:", |_, manifest| {
            manifest["config"]["digest"] = json!(Digest::of(b"nowhere"));
        }),
    ];
    for (says, change) in cases {
        let refused = refused(|registry, manifest| {
            let _ = registry.put_blob("x", b"{}");
            change(registry, manifest);
        });
        let refused = refused.await;
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    for (part, says) in [
        ("/manifests/", "the manifest is not what its digest says"),
        ("/blobs/", "the config is not what its digest says"),
    ] {
        let (registry, _) = registry().await;
        let (manifest, digest) = registry.manifest("words", "1");
        registry.instead(move |asked| {
            let other = json!({ "a": manifest["config"] }).to_string();
            let answer = || Answer::new(200, other.clone());
            (asked.target.contains(part))
                .then(|| answer().header("docker-content-digest", digest.to_string()))
        });
        let refused = pull(&registry).await.unwrap_err();
        assert!(refused.to_string().contains(says), "{refused}");
    }
    // The bytes of another component under the digest of this one.
    let (registry, bytes) = registry().await;
    let digest = Digest::of(&bytes).to_string();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    registry.instead(move |asked| {
        asked
            .target
            .ends_with(&digest)
            .then(|| Answer::new(200, other.clone()))
    });
    let refused = pull(&registry).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Other { .. }), "{refused}");
}

#[tokio::test]
async fn registries_that_say_nothing_or_never_end_are_left() {
    type Say = fn() -> Answer;
    let cases: [(&str, &str, Say); 6] = [
        ("/manifests/", "within 300 ms", || {
            Answer::new(200, "{").then_hang()
        }),
        (
            "/manifests/",
            "the answer is larger than 4194304 bytes",
            || Answer::new(200, "").then_pour(),
        ),
        ("/blobs/", "the answer is larger than", || {
            Answer::new(200, "").then_pour()
        }),
        ("/blobs/", "within 300 ms", || {
            Answer::new(200, "\0asm").then_hang()
        }),
        // It is never silent for long, but there is an end to patience, too.
        ("/manifests/", "within 1200 ms", || {
            Answer::new(200, "{").then_drip()
        }),
        ("/v2/", "larger than 65536 bytes", || {
            Answer::new(401, "")
                .header("www-authenticate", "Bearer realm=\"http://REGISTRY/token\"")
        }),
    ];
    for (part, says, say) in cases {
        let (registry, _) = registry().await;
        let host = registry.host();
        registry.instead(move |asked| {
            if asked.target.starts_with("/token") {
                return Some(Answer::new(200, "").then_pour());
            }
            let mut answer = asked.target.contains(part).then(say)?;
            answer = match asked.target.starts_with("/v2/") && part == "/v2/" {
                true => Answer::new(401, "").header(
                    "www-authenticate",
                    format!("Bearer realm=\"http://{host}/token\""),
                ),
                false => answer,
            };
            Some(answer)
        });
        let began = Instant::now();
        let refused = pull(&registry).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test]
async fn logins_are_not_led_elsewhere() {
    // A registry sends its blobs elsewhere, and the login stays behind.
    let (registry, bytes) = registry().await;
    let elsewhere = Registry::new();
    let _ = elsewhere.put_blob("application/wasm", &bytes);
    let to = format!("http://{}", elsewhere.host());
    registry.instead(move |asked| {
        if !asked.headers.contains_key("authorization") {
            return Some(Answer::new(401, "").header("www-authenticate", "Basic realm=\"r\""));
        }
        let is_component = asked.target.contains(&Digest::of(&bytes).hex());
        is_component
            .then(|| Answer::new(307, "").header("location", format!("{to}{}", asked.target)))
    });
    pull(&registry).await.unwrap();
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization"), "{asked:?}");

    // It leads in a circle, and to what is no place.
    for (location, says) in [
        ("/v2/words/manifests/1", "redirects"),
        ("ftp://127.0.0.1/x", "is not http or https"),
        ("http://me:s3cret@127.0.0.1/x", "a URL with a user in it"),
    ] {
        registry.instead(move |_| Some(Answer::new(302, "").header("location", location)));
        let refused = pull(&registry).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }

    // It names a token server that is none, or that gives what is no token.
    for (challenge, says) in [
        ("Bearer realm=\"ftp://127.0.0.1/\"", "is not http or https"),
        ("Bearer realm=\"nowhere\"", "is no URL of a token server"),
        ("Negotiate", "what is not known here: `Negotiate`"),
        ("Bearer realm=\"HERE/empty\"", "answers without a token"),
        ("Bearer realm=\"HERE/lines\"", "answers without a token"),
        ("Bearer realm=\"HERE/long\"", "answers without a token"),
        ("Bearer realm=\"HERE/moved\"", "the registry answers 302"),
        (
            "Bearer realm=\"HERE/token\"",
            "it does not accept the login",
        ),
    ] {
        let here = format!("http://{}", registry.host());
        registry.instead(move |asked| {
            Some(match asked.target.split('?').next() {
                Some("/empty") => Answer::new(200, "{}"),
                Some("/lines") => Answer::new(200, r#"{"token": "a\r\nx: y"}"#),
                Some("/long") => {
                    let token = "a".repeat(limits::OCI_TOKEN_BYTES + 1);
                    Answer::new(200, json!({ "token": token }).to_string())
                }
                Some("/moved") => Answer::new(302, "").header("location", "/token"),
                Some("/token") => Answer::new(200, r#"{"token": "a"}"#),
                _ => Answer::new(401, "")
                    .header("www-authenticate", challenge.replace("HERE", &here)),
            })
        });
        let refused = pull(&registry).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{says}: {refused}");
        assert!(
            !refused.contains("s3cret") && !refused.contains("bWU6"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn an_upload_goes_to_the_registry_or_nowhere() {
    let (registry, elsewhere) = (Registry::new(), Registry::new());
    let to = format!("http://{}/v2/words/blobs/up", elsewhere.host());
    let posts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&posts);
    registry.instead(move |asked| {
        (asked.method == "POST").then(|| {
            counted.fetch_add(1, Ordering::SeqCst);
            Answer::new(202, "").header("location", to.clone())
        })
    });
    let bytes = fs::read(component("text")).unwrap();
    let reference = Reference::parse(&registry.source("words:1"))
        .unwrap()
        .unwrap();
    let registries = Registries::new(Logins::default()).patience(PATIENCE, PATIENCE * 4);
    let refused = registries.push(&reference, &bytes).await.unwrap_err();
    assert!(matches!(refused, RegistryError::Elsewhere(_)), "{refused}");
    assert_eq!(
        (posts.load(Ordering::SeqCst), elsewhere.asked().len()),
        (1, 0)
    );

    registry.instead(|asked| {
        let denied = json!({ "errors": [{ "code": "DENIED", "message": "not \u{1b}[2Jyours" }] });
        (asked.method == "POST").then(|| Answer::new(403, denied.to_string()))
    });
    let refused = registries
        .push(&reference, &bytes)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("answers 403 to the upload: DENIED: not"),
        "{refused}"
    );
    // What is no component is not sent.
    let _ = registry.asked();
    registries
        .push(&reference, b"no component")
        .await
        .unwrap_err();
    assert_eq!(registry.asked().len(), 0);
}

#[tokio::test]
async fn a_registry_of_another_machine_is_not_asked_by_http() {
    // Nothing listens there with TLS; by http, it would answer.
    let registry = Registry::new();
    let port = registry.host().rsplit_once(':').unwrap().1.to_owned();
    let source = format!("oci:host.invalid:{port}/words:1");
    let reference = Reference::parse(&source).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let kept = Kept::at(folder.path().to_owned());
    let registries = Registries::new(Logins::default()).patience(PATIENCE, PATIENCE * 4);
    let refused = registries.pull(&reference, None, &kept).await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::Exchange { .. }),
        "{refused}"
    );
    assert_eq!(registry.asked().len(), 0);
}
