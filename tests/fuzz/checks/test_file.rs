//! Any text as a file of tests: read, or refused with problems that can be shown.

use std::path::Path;

use milepost::testing::TestFile;

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let file = Path::new("steps.test.toml");
    match TestFile::parse(file, text) {
        Ok(read) => {
            for case in &read.cases {
                assert!(text.get(case.place.clone()).is_some(), "{}", case.name);
            }
        }
        Err(problems) => {
            assert!(problems.has_errors(), "it is refused for no reason");
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
