//! What to write where a value may be missing.

use milepost::core::outcome::{ErrorClass, StepError, codes};

/// How to write that the value may be missing which an expression found missing.
pub(crate) fn help(error: &StepError) -> Option<&'static str> {
    let is_missing = error.class == ErrorClass::Definition && error.code == codes::MISSING_VALUE;
    is_missing.then_some(
        "where a value may be missing, ask with `has(..)`, or give another one: `steps.a.?output.b.orValue('')`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_expression_missed_has_help() {
        let error = |class, code| StepError::new(class, code, "no value");
        assert!(help(&error(ErrorClass::Definition, codes::MISSING_VALUE)).is_some());
        // A plugin may use the same word.
        assert!(help(&error(ErrorClass::Failed, codes::MISSING_VALUE)).is_none());
        assert!(help(&error(ErrorClass::Definition, codes::EXPRESSION_ERROR)).is_none());
    }
}
