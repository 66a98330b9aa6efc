//! Any text as a definition: read, or refused with problems that can be shown.

use milepost_core::definition::Definition;

const FILE: &str = "workflow.toml";

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = Definition::plugins_of(text);
    match Definition::parse(FILE, text) {
        Ok(parsed) => {
            let _ = parsed.diagnostics().to_string();
            // A run carries it, and goes on with it for as long as it is kept; only what was known of types may be less then.
            let again = Definition::reread(FILE, text).expect("it was accepted");
            let read = parsed.definition;
            let ids = |definition: &Definition| -> Vec<String> {
                let steps = definition.steps().iter();
                steps.map(|step| step.id.to_string()).collect()
            };
            assert_eq!(ids(&again.definition), ids(&read));
            assert_eq!(again.definition.source.digest, read.source.digest);
        }
        Err(problems) => {
            assert!(!problems.items.is_empty(), "it is refused for no reason");
            for item in &problems.items {
                let places = item.related.iter().map(|(place, _)| place);
                for place in places.chain([&item.span]) {
                    assert!(text.get(place.clone()).is_some(), "{item:?}");
                }
            }
            let _ = problems.to_string();
        }
    }
}
