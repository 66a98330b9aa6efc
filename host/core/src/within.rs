//! Which members settle together: where a scope of the definition stands in a run.

use crate::ids::{Path, StepId};

/// One of the places where the members of a scope run, each at a path of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within<'a> {
    /// The top level, of which there is one.
    Top,
    /// An iteration, from 1, of the loop at this path.
    Iteration(&'a Path, u32),
    /// An item of a fan-out, whose path this is.
    Item(&'a Path),
}

impl<'a> Within<'a> {
    /// The step around it: the loop, or the item of the fan-out.
    #[must_use]
    pub const fn around(self) -> Option<&'a Path> {
        match self {
            Self::Top => None,
            Self::Iteration(path, _) | Self::Item(path) => Some(path),
        }
    }

    /// Where a member stands.
    #[must_use]
    pub fn member(self, step: &StepId) -> Path {
        match self {
            Self::Top => Path::top(step.clone()),
            Self::Iteration(outer, iteration) => outer.member(iteration, step.clone()),
            Self::Item(item) => item.member_of_item(step.clone()),
        }
    }

    /// Whether this is the path of a member.
    #[must_use]
    pub fn holds(self, path: &Path) -> bool {
        let segments = path.segments();
        match self {
            Self::Top => segments.len() == 1,
            Self::Iteration(outer, iteration) => {
                segments.len() == outer.segments().len() + 1 && path.is_inside(outer, iteration)
            }
            Self::Item(item) => segments[..segments.len() - 1] == *item.segments(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_scope_holds_its_members_and_nothing_else() {
        let path = |text: &str| text.parse::<Path>().unwrap();
        let (fix, item) = (path("fix"), path("fix#2/files[3]"));
        let scopes = [
            (Within::Top, "test"),
            (Within::Iteration(&fix, 2), "fix#2/test"),
            (Within::Item(&item), "fix#2/files[3]/test"),
        ];
        for (scope, text) in scopes {
            assert_eq!(scope.member(&StepId::new("test").unwrap()), path(text));
            for other in [
                "test",
                "fix#1/test",
                "fix#2/test",
                "fix#2/files/test",
                "fix#2/files[2]/test",
                "fix#2/files[3]/test",
                "fix#2/files[3]/more#1/test",
            ] {
                assert_eq!(scope.holds(&path(other)), other == text, "{other}");
            }
        }
    }
}
