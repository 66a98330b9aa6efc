//! `explain` knows every code that people are shown.

use std::collections::BTreeSet;
use std::path::Path;

use milepost_tests::cli::Cli;

/// The codes with which the host answers a component, as its sources name them.
fn host_codes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            host_codes(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for maker in ["HostError::new(", "HostError::transient("] {
            found.extend(text.split(maker).skip(1).filter_map(|rest| {
                let literal = rest.trim_start().strip_prefix('"')?;
                Some(literal.split_once('"')?.0.to_owned())
            }));
        }
    }
}

#[test]
fn every_code_that_a_component_can_get_is_explained() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let mut codes = BTreeSet::new();
    for sources in ["wasm/src", "engine/src"] {
        host_codes(&host.join(sources), &mut codes);
    }
    assert!(codes.len() > 20 && codes.contains("denied"), "{codes:?}");
    let cli = Cli::new();
    for code in codes {
        let told = cli.run(&format!("explain {code}")).expect(0).stdout;
        assert!(
            told.starts_with(&code) && told.lines().count() > 2,
            "{told}"
        );
    }
}
