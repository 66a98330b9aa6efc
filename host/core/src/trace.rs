//! The W3C trace context of attempts: one trace for each run, one span for each attempt. It is a function of what is recorded, so that a
//! step sees the same when it is executed again, and whoever exports spans gives these very names to them.

use crate::ids::Digest;

/// The name of a run's trace.
#[must_use]
pub fn trace_id(run: &str) -> [u8; 16] {
    beginning(run)
}

/// The name of an attempt's span.
#[must_use]
pub fn attempt_span(run: &str, path: &str, attempt: u32) -> [u8; 8] {
    beginning(&format!("{run}/{path}#{attempt}"))
}

/// The header `traceparent` for requests of an attempt.
#[must_use]
pub fn trace_parent(run: &str, path: &str, attempt: u32) -> String {
    let trace = u128::from_be_bytes(trace_id(run));
    let span = u64::from_be_bytes(attempt_span(run, path, attempt));
    format!("00-{trace:032x}-{span:016x}-01")
}

/// The first bytes of a digest. That all of them are zero, which would be no name, is as likely as a collision.
fn beginning<const N: usize>(text: &str) -> [u8; N] {
    let digest = Digest::of(text.as_bytes());
    let bytes = digest.as_bytes();
    std::array::from_fn(|at| bytes[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_a_function_of_run_path_and_attempt() {
        let parent = trace_parent("run-1", "fix#2/test", 3);
        // SHA-256 of `run-1` and of `run-1/fix#2/test#3`.
        assert_eq!(
            parent,
            "00-4e65d3fbe8ad6535681b021b30785b12-0e14ad1b40ad5e6d-01"
        );
        let others = [("run-2", "a", 1), ("run-1", "b", 1), ("run-1", "a", 2)];
        let parents = others.map(|(run, path, attempt)| trace_parent(run, path, attempt));
        let same = trace_parent("run-1", "a", 1);
        assert!(parents.iter().all(|other| *other != same));
        assert_eq!(parents[1][..35], same[..35], "of one run");
    }
}
