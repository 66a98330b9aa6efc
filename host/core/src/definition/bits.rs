//! A set of step indices.

use crate::limits;

/// A set of step indices: a workflow has at most [`limits::STEPS`], so a set of them is small.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn contains(&self, index: usize) -> bool {
        let word = self.0.get(index / 64).copied().unwrap_or(0);
        word & (1 << (index % 64)) != 0
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(super) fn insert(&mut self, index: usize) {
        if self.0.len() <= index / 64 {
            // One allocation for all steps that there can be; a text that was accepted before may have more.
            self.0
                .resize((index / 64 + 1).max(limits::STEPS.div_ceil(64)), 0);
        }
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(super) fn insert_all(&mut self, others: &Self) {
        if self.0.len() < others.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        for (word, other) in self.0.iter_mut().zip(&others.0) {
            *word |= other;
        }
    }

    /// What is in it, in ascending order.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| {
            let set = (0..64).filter(move |bit| word & (1 << bit) != 0);
            set.map(move |bit| at * 64 + bit)
        })
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut bits = Self::default();
        indices.into_iter().for_each(|index| bits.insert(index));
        bits
    }
}
