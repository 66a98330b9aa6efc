//! How far the walk over the steps has come: what is behind it is settled and need not be looked at again.

use crate::ids::Epoch;

/// What one decision leaves for the next one of the same run. Derived from the state and never stored: a new one gives the
/// same decisions, only slower.
///
/// Under one claim a settled execution stays settled. Only a resume or a change of the definition opens it again, and after
/// those comes a claim with a new epoch, which begins afresh here.
#[derive(Debug, Default)]
pub struct Frontier {
    epoch: Epoch,
    /// Outermost first: the top level, the iteration of the loop that it has come to, and so on inwards.
    scopes: Vec<Walked>,
}

#[derive(Debug)]
struct Walked {
    /// Iteration of the loop whose body this is; 0 for the top level.
    iteration: u32,
    /// So many of the first members are settled, and none of them ends the scope.
    members: usize,
}

impl Frontier {
    /// Forgets what was seen under another claim.
    pub(crate) fn under(&mut self, epoch: Epoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.scopes.clear();
        }
    }

    /// Enters the scope at this depth and says how many members are behind the walk.
    pub(crate) fn enter(&mut self, depth: usize, iteration: u32) -> usize {
        if self
            .scopes
            .get(depth)
            .is_none_or(|walked| walked.iteration != iteration)
        {
            self.scopes.truncate(depth);
            self.scopes.push(Walked {
                iteration,
                members: 0,
            });
        }
        self.scopes[depth].members
    }

    /// Leaves one more member of the scope at this depth behind, and with it all scopes inside.
    pub(crate) fn pass_by(&mut self, depth: usize) {
        self.scopes.truncate(depth + 1);
        self.scopes[depth].members += 1;
    }
}
