//! Layouts that are written are read, and hostile ones are refused.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;

use milepost_core::ids::Digest;
use serde_json::{Value, json};

use super::super::oci_artifact::{ArtifactError, INDEX};
use super::{LayoutError, Reference, blob, read, write};

fn component(text: &str) -> Vec<u8> {
    let text = format!(
        r#"(component (instance $guest) (export "milepost:step/guest@0.1.0" (instance $guest)) {text})"#
    );
    wat::parse_str(text).unwrap()
}

fn reference(folder: &Path, tag: Option<&str>) -> Reference {
    Reference {
        folder: folder.to_owned(),
        tag: tag.map(str::to_owned),
    }
}

fn read_from(folder: &Path, tag: Option<&str>) -> Result<Vec<u8>, LayoutError> {
    read(Path::new(""), &reference(folder, tag))
}

fn parsed(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn what_is_written_is_read_by_its_tag() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("words");
    let (one, two) = (component(""), component("(import \"a\" (func))"));
    write(&reference(&layout, Some("1.0")), &one).unwrap();
    assert_eq!(read_from(&layout, None).unwrap(), one);
    let before = fs::read(layout.join("index.json")).unwrap();
    write(&reference(&layout, Some("1.0")), &one).unwrap();
    assert_eq!(fs::read(layout.join("index.json")).unwrap(), before);

    write(&reference(&layout, Some("2.0")), &two).unwrap();
    assert_eq!(read_from(&layout, Some("1.0")).unwrap(), one);
    assert_eq!(read_from(&layout, Some("2.0")).unwrap(), two);
    let unclear = read_from(&layout, None).unwrap_err().to_string();
    assert_eq!(unclear, "its tag has to be named; it has `1.0`, `2.0`");
    let unknown = read_from(&layout, Some("3")).unwrap_err().to_string();
    assert_eq!(unknown, "it has no tag `3`; it has `1.0`, `2.0`");
    // A tag that moves leaves what it stood for.
    write(&reference(&layout, Some("1.0")), &two).unwrap();
    assert_eq!(read_from(&layout, Some("1.0")).unwrap(), two);
    assert!(blob(&layout, &Digest::of(&one)).exists());

    for tag in ["", ".", "-x", "a/b", "a b", "\u{fc}"] {
        let refused = write(&reference(&layout, Some(tag)), &one).unwrap_err();
        assert!(
            matches!(refused, LayoutError::Artifact(ArtifactError::BadTag(_))),
            "{tag}: {refused}"
        );
    }
    let refused = write(&reference(folder.path(), None), &one).unwrap_err();
    assert!(matches!(refused, LayoutError::NoLayout(_)), "{refused}");
    let refused = write(&reference(&layout, None), b"no component").unwrap_err();
    assert!(
        matches!(refused, LayoutError::Artifact(ArtifactError::Rejected(_))),
        "{refused}"
    );
}

/// A layout whose manifest, and what stands around it, are as `change` leaves them, with digests that fit.
fn changed(folder: &Path, change: impl Fn(&mut Value, &mut Value, &mut Value)) {
    write(&reference(folder, Some("1.0")), &component("")).unwrap();
    let mut index = parsed(&folder.join("index.json"));
    let digest = |of: &Value| of["digest"].as_str().unwrap().parse::<Digest>().unwrap();
    let mut manifest = parsed(&blob(folder, &digest(&index["manifests"][0])));
    let mut config = parsed(&blob(folder, &digest(&manifest["config"])));
    let put = |value: &Value, descriptor: &mut Value| {
        let bytes = value.to_string().into_bytes();
        descriptor["digest"] = json!(Digest::of(&bytes));
        descriptor["size"] = json!(bytes.len());
        fs::write(blob(folder, &Digest::of(&bytes)), bytes).unwrap();
    };
    let before = (index.clone(), manifest.clone(), config.clone());
    change(&mut index, &mut manifest, &mut config);
    if config != before.2 {
        put(&config, &mut manifest["config"]);
    }
    if manifest != before.1 {
        put(&manifest, &mut index["manifests"][0]);
    }
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn a_layout_that_is_not_one_of_a_component_is_refused() {
    type Change = fn(&mut Value, &mut Value, &mut Value);
    let cases: [(&str, Change); 16] = [
        (
            "no SHA-256 digest: sha256:../../../etc/passwd",
            |index, _, _| {
                index["manifests"][0]["digest"] = json!("sha256:../../../etc/passwd");
            },
        ),
        ("no SHA-256 digest: sha512:00", |_, manifest, _| {
            manifest["config"]["digest"] = json!("sha512:00");
        }),
        ("is not what its descriptor says", |_, manifest, _| {
            manifest["layers"][0]["size"] = json!(7);
        }),
        ("No such file", |_, manifest, _| {
            manifest["config"]["digest"] = json!(Digest::of(b"nowhere"));
        }),
        ("the component has 1000000000000 bytes", |_, manifest, _| {
            manifest["layers"][0]["size"] = json!(1_000_000_000_000_u64);
        }),
        ("the manifest has 100000000 bytes", |index, _, _| {
            index["manifests"][0]["size"] = json!(100_000_000);
        }),
        // An index in an index could lead around in a circle.
        (
            "of type `application/vnd.oci.image.index.v1+json`",
            |index, _, _| {
                index["manifests"][0]["mediaType"] = json!(INDEX);
            },
        ),
        (
            "of type `application/vnd.oci.image.config.v1+json`",
            |_, manifest, _| {
                manifest["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
            },
        ),
        (
            "the layer is of type `application/gzip`",
            |_, manifest, _| {
                manifest["layers"][0]["mediaType"] = json!("application/gzip");
            },
        ),
        ("it has 0 layers", |_, manifest, _| {
            manifest["layers"] = json!([])
        }),
        ("it has 2 layers", |_, manifest, _| {
            let layer = manifest["layers"][0].clone();
            manifest["layers"].as_array_mut().unwrap().push(layer);
        }),
        ("its config does not name its layer", |_, _, config| {
            config["layerDigests"] = json!([Digest::of(b"other")]);
        }),
        ("its config does not name its layer", |_, _, config| {
            config["layerDigests"] = json!([])
        }),
        ("stands for several artifacts", |index, _, _| {
            let mut other = index["manifests"][0].clone();
            other["digest"] = json!(Digest::of(b"other"));
            index["manifests"].as_array_mut().unwrap().push(other);
        }),
        ("missing field `manifests`", |index, _, _| {
            *index = json!({ "schemaVersion": 2 })
        }),
        ("recursion limit", |index, _, _| {
            let mut deep = json!(1);
            for _ in 0..200 {
                deep = json!([deep]);
            }
            index["deep"] = deep;
        }),
    ];
    for (says, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        changed(folder.path(), change);
        let refused = read_from(folder.path(), Some("1.0"))
            .unwrap_err()
            .to_string();
        assert!(refused.contains(says), "{says}: {refused}");
    }
    // The change alone is what is refused.
    let folder = tempfile::tempdir().unwrap();
    changed(folder.path(), |_, manifest, _| {
        manifest["annotations"] = json!({ "a": "b" })
    });
    assert_eq!(
        read_from(folder.path(), Some("1.0")).unwrap(),
        component("")
    );
}

#[test]
fn files_of_a_layout_are_its_own_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("l");
    let bytes = component("");
    let fresh = || {
        let _ = fs::remove_dir_all(&layout);
        write(&reference(&layout, None), &bytes).unwrap();
    };
    fresh();
    let file = blob(&layout, &Digest::of(&bytes));
    fs::write(&file, component("(import \"a\" (func))")).unwrap();
    let refused = read_from(&layout, None).unwrap_err();
    assert!(matches!(refused, LayoutError::Other { .. }), "{refused}");

    fresh();
    fs::write(
        layout.join("index.json"),
        " ".repeat(milepost_core::limits::OCI_JSON_BYTES + 1),
    )
    .unwrap();
    let refused = read_from(&layout, None).unwrap_err();
    assert!(matches!(refused, LayoutError::File { .. }), "{refused}");

    fresh();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    let refused = read_from(&layout, None).unwrap_err();
    assert!(matches!(refused, LayoutError::NoLayout(_)), "{refused}");
}

#[test]
#[cfg(unix)]
fn links_in_a_layout_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = component("");
    let digest = Digest::of(&bytes);
    for part in [
        "index.json",
        "oci-layout",
        "blobs",
        "blobs/sha256",
        "the blob",
    ] {
        let layout = folder.path().join("l");
        let away = folder.path().join("away");
        let _ = fs::remove_dir_all(&layout);
        let _ = fs::remove_dir_all(&away).or_else(|_| fs::remove_file(&away));
        write(&reference(&layout, None), &bytes).unwrap();
        assert_eq!(read_from(&layout, None).unwrap(), bytes);
        let path = match part {
            "the blob" => blob(&layout, &digest),
            part => layout.join(part),
        };
        fs::rename(&path, &away).unwrap();
        std::os::unix::fs::symlink(&away, &path).unwrap();
        let refused = read_from(&layout, None).unwrap_err();
        assert!(matches!(refused, LayoutError::Link(_)), "{part}: {refused}");
    }
}

#[test]
fn a_source_names_a_folder_and_perhaps_a_tag() {
    let reference = |folder: &str, tag| Some(reference(Path::new(folder), tag));
    for (source, expected) in [
        ("oci-layout:words", reference("words", None)),
        ("oci-layout:words:1.0.0", reference("words", Some("1.0.0"))),
        (
            "oci-layout:../a/words:latest",
            reference("../a/words", Some("latest")),
        ),
        ("oci-layout:/a:b/words", reference("/a:b/words", None)),
        ("oci-layout:C:\\words", reference("C:\\words", None)),
        ("oci-layout:C:\\words:2", reference("C:\\words", Some("2"))),
        ("oci-layout:words:", reference("words", Some(""))),
        ("words.wasm", None),
        ("oci:words", None),
    ] {
        assert_eq!(Reference::parse(source), expected, "{source}");
    }
}
