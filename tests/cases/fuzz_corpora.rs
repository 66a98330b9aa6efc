//! The corpus of the fuzzer of files of tests: every input that is kept passes, and so do changed ones. Those of the core are in
//! `host/core/tests/fuzz_corpora.rs`, that of `import` in `bundle/hostile.rs`.

#[path = "../fuzz/checks/test_file.rs"]
#[expect(unreachable_pub, reason = "it is shared")]
mod test_file;

use milepost_tests::rng::Rng;

/// What a changed file is likely to get stuck at.
const PIECES: [&str; 12] = [
    "[[test]]\n",
    "[test.expect]\n",
    "\"",
    "'''",
    "{",
    "}",
    "[",
    "]",
    " = ",
    "\n",
    "é",
    "9999999999999999999",
];

/// `MILEPOST_MUTATIONS` says how many changed files.
#[test]
fn files_of_tests_are_read_or_refused() {
    let count = std::env::var("MILEPOST_MUTATIONS").ok();
    let count: u64 = count.map_or(300, |count| count.parse().unwrap());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/test_file");
    let mut inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    inputs.sort();
    let inputs: Vec<String> = inputs
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    assert!(inputs.len() >= 3);
    inputs
        .iter()
        .for_each(|input| test_file::check(input.as_bytes()));
    for seed in 0..count {
        let rng = Rng::new(seed);
        let below = |most: usize| (rng.next() % most.max(1) as u64) as usize;
        let mut text: Vec<char> = inputs[below(inputs.len())].chars().collect();
        for _ in 0..=below(4) {
            let place = below(text.len());
            let end = (place + below(40)).min(text.len());
            match below(4) {
                0 => drop(text.drain(place..end)),
                1 => {
                    let copied: Vec<char> = text[place..end].to_vec();
                    let at = below(text.len());
                    text.splice(at..at, copied);
                }
                _ => {
                    let piece = PIECES[below(PIECES.len())];
                    text.splice(place..place, piece.chars());
                }
            }
        }
        test_file::check(text.into_iter().collect::<String>().as_bytes());
    }
}
