//! Where everybody stands: as close as can be to the middle of its neighbours, in the order of its layer, without touching.

use super::BESIDE;
use super::layers::{Layers, Place};

/// Rounds over all layers.
const ROUNDS: usize = 6;

/// The middle of every vertex from the left; any number, also below zero.
pub(super) fn place(layers: &Layers, width: impl Fn(Place) -> i32) -> Vec<i32> {
    let width = |vertex: usize| width(layers.places[vertex]);
    // How far the middles of a row are from the first one when nobody has room to spare.
    let offsets: Vec<Vec<i32>> = layers
        .rows
        .iter()
        .map(|row| {
            let mut at = 0;
            let mut before: Option<usize> = None;
            let offsets = row.iter().map(|vertex| {
                if let Some(before) = before.replace(*vertex) {
                    at += (width(before) + 1) / 2 + (width(*vertex) + 1) / 2 + BESIDE;
                }
                at
            });
            offsets.collect()
        })
        .collect();
    let mut centres = vec![0; layers.places.len()];
    for (row, offsets) in layers.rows.iter().zip(&offsets) {
        let half = offsets.last().copied().unwrap_or_default() / 2;
        for (vertex, offset) in row.iter().zip(offsets) {
            centres[*vertex] = offset - half;
        }
    }
    let count = layers.rows.len();
    let mut settle = |rank: usize, neighbours: &dyn Fn(usize) -> Vec<usize>| {
        let row = &layers.rows[rank];
        let wishes: Vec<i32> = row
            .iter()
            .map(|vertex| wish(&neighbours(*vertex), &centres).unwrap_or(centres[*vertex]))
            .collect();
        for (vertex, centre) in row.iter().zip(closest(&wishes, &offsets[rank])) {
            centres[*vertex] = centre;
        }
    };
    for _ in 0..ROUNDS {
        for rank in 1..count {
            settle(rank, &|vertex| layers.above[vertex].clone());
        }
        for rank in (0..count.saturating_sub(1)).rev() {
            settle(rank, &|vertex| layers.below[vertex].clone());
        }
    }
    for rank in 0..count {
        settle(rank, &|vertex| {
            let neighbours = [&layers.above[vertex], &layers.below[vertex]];
            neighbours.into_iter().flatten().copied().collect()
        });
    }
    centres
}

/// The middle of the neighbours.
fn wish(neighbours: &[usize], centres: &[i32]) -> Option<i32> {
    let sum: i64 = neighbours.iter().map(|at| i64::from(centres[*at])).sum();
    let count = i64::try_from(neighbours.len()).ok().filter(|n| *n > 0)?;
    i32::try_from(sum.div_euclid(count)).ok()
}

/// The places that keep the distances and are together closest to the wishes: whoever would stand too close to the one before moves
/// with it, to the mean of what both wish.
fn closest(wishes: &[i32], offsets: &[i32]) -> Vec<i32> {
    struct Block {
        sum: i64,
        count: i64,
    }
    impl Block {
        fn mean(&self) -> i64 {
            self.sum.div_euclid(self.count)
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (wish, offset) in wishes.iter().zip(offsets) {
        let mut block = Block {
            sum: i64::from(*wish) - i64::from(*offset),
            count: 1,
        };
        while let Some(before) = blocks.pop_if(|before| before.mean() > block.mean()) {
            block.sum += before.sum;
            block.count += before.count;
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|block| {
        let mean = i32::try_from(block.mean()).unwrap_or_default();
        (0..block.count).map(move |_| mean)
    });
    means
        .zip(offsets)
        .map(|(mean, offset)| mean + offset)
        .collect()
}
