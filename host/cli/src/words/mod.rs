//! Sentences for people, made from what the library says as data. A sentence that names a command gets it from its caller, who
//! knows what a person has to type: see [`plain`] and [`Context::program`](crate::context::Context::program).

pub(crate) mod advice;
pub(crate) mod event;
pub(crate) mod explain;
pub(crate) mod next;
pub(crate) mod remedy;
pub(crate) mod stop;

/// A command as documents name it: without the store, which whoever reads one has named.
pub(crate) fn plain(verb: &str) -> String {
    format!("milepost {verb}")
}
