//! Sentences for people, made from what the library says as data. A sentence that names a command gets it from its caller, who
//! knows what a person has to type: see [`plain`] and [`Context::program`](crate::context::Context::program).

pub(crate) mod next;
pub(crate) mod remedy;

/// A command as documents name it: without the store, which whoever reads one has named.
pub(crate) fn plain(verb: &str) -> String {
    format!("milepost {verb}")
}
