//! The committed components are the ones that their digests name, and tell nothing of the machine that built them.

use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;

fn folders() -> [PathBuf; 2] {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    [
        plugins.join("prebuilt"),
        plugins.join("javascript/prebuilt"),
    ]
}

#[test]
fn every_component_has_its_recorded_digest() {
    for folder in folders() {
        let recorded = std::fs::read_to_string(folder.join("DIGESTS")).unwrap();
        let mut seen = 0;
        for line in recorded.lines().filter(|line| !line.starts_with('#')) {
            let (digest, name) = line.split_once("  ").unwrap();
            let bytes = std::fs::read(folder.join(name)).unwrap();
            assert_eq!(Digest::of(&bytes).hex(), digest, "{name}");
            seen += 1;
        }
        let files = std::fs::read_dir(folder).unwrap().count();
        assert_eq!(seen, files - 1, "every file but DIGESTS is recorded");
    }
}

#[test]
fn no_component_names_a_build_folder_or_a_registry() {
    for entry in folders()
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
    {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for trace in [
            "/root/",
            "/home/",
            "/tmp/",
            "/work/",
            ".cargo/registry",
            "crates.io",
        ] {
            assert!(!text.contains(trace), "{} holds {trace}", path.display());
        }
    }
}
