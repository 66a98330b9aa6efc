//! Where everybody stands: as close as can be to the middle of its neighbours, in the order of its layer, without touching.

use super::BESIDE;
use super::layers::{Layers, Place};

/// Rounds over all layers.
const ROUNDS: usize = 6;
/// How much more than anything else it counts that a grid has straight columns.
const IN_COLUMN: i64 = 8;

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
                    let gap = match (layers.places[before], layers.places[*vertex]) {
                        (Place::Box(_), Place::Box(_)) => BESIDE,
                        _ => BESIDE / 2,
                    };
                    at += (width(before) + 1) / 2 + (width(*vertex) + 1) / 2 + gap;
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
    let grid = Grid::new(layers);
    let mut settle = |rank: usize, sides: &[Side]| {
        let row = &layers.rows[rank];
        let wishes: Vec<Wish> = row
            .iter()
            .map(|vertex| wish(layers, &grid, *vertex, sides, &centres))
            .collect();
        for (vertex, centre) in row.iter().zip(closest(&wishes, &offsets[rank])) {
            centres[*vertex] = centre;
        }
    };
    for _ in 0..ROUNDS {
        for rank in 1..count {
            settle(rank, &[Side::Above]);
        }
        for rank in (0..count.saturating_sub(1)).rev() {
            settle(rank, &[Side::Below]);
        }
    }
    for rank in 0..count {
        settle(rank, &[Side::Above, Side::Below]);
    }
    centres
}

#[derive(Clone, Copy)]
enum Side {
    Above,
    Below,
}

/// Who stands above and below whom in a layer that was too wide and became several.
struct Grid {
    above: Vec<Option<usize>>,
    below: Vec<Option<usize>>,
}

impl Grid {
    fn new(layers: &Layers) -> Self {
        let none = vec![None; layers.places.len()];
        let mut grid = Self {
            above: none.clone(),
            below: none,
        };
        let boxes = |rank: usize| {
            let row = layers.rows[rank].iter().copied();
            row.filter(|vertex| matches!(layers.places[*vertex], Place::Box(_)))
        };
        for rank in (1..layers.rows.len()).filter(|rank| layers.goes_on[*rank]) {
            for (upper, lower) in boxes(rank - 1).zip(boxes(rank)) {
                grid.above[lower] = Some(upper);
                grid.below[upper] = Some(lower);
            }
        }
        grid
    }
}

/// Where somebody would stand, and how much that counts.
struct Wish {
    centre: i32,
    weight: i64,
}

/// In its column of a grid; where a long edge goes on straight; in the middle of its neighbours.
fn wish(layers: &Layers, grid: &Grid, vertex: usize, sides: &[Side], centres: &[i32]) -> Wish {
    let column = sides.iter().filter_map(|side| match side {
        Side::Above => grid.above[vertex],
        Side::Below => grid.below[vertex],
    });
    if let Some(centre) = mean(column, centres) {
        let weight = IN_COLUMN;
        return Wish { centre, weight };
    }
    let neighbours = || {
        let sides = sides.iter().flat_map(|side| match side {
            Side::Above => &layers.above[vertex],
            Side::Below => &layers.below[vertex],
        });
        sides.copied()
    };
    let passes = |at: usize| layers.places[at] == Place::Passing;
    let straight = neighbours().filter(|at| passes(vertex) && passes(*at));
    let centre = mean(straight, centres).or_else(|| mean(neighbours(), centres));
    Wish {
        centre: centre.unwrap_or(centres[vertex]),
        weight: 1,
    }
}

fn mean(of: impl Iterator<Item = usize>, centres: &[i32]) -> Option<i32> {
    let (sum, count) = of.fold((0_i64, 0_i64), |(sum, count), at| {
        (sum + i64::from(centres[at]), count + 1)
    });
    let mean = (count > 0).then(|| sum.div_euclid(count))?;
    i32::try_from(mean).ok()
}

/// The places that keep the distances and are together closest to the wishes: whoever would stand too close to the one before moves
/// with it, to the mean of what both wish.
fn closest(wishes: &[Wish], offsets: &[i32]) -> Vec<i32> {
    struct Block {
        sum: i64,
        weight: i64,
        count: usize,
    }
    impl Block {
        fn mean(&self) -> i64 {
            self.sum.div_euclid(self.weight)
        }
    }
    let mut blocks: Vec<Block> = Vec::new();
    for (wish, offset) in wishes.iter().zip(offsets) {
        let mut block = Block {
            sum: (i64::from(wish.centre) - i64::from(*offset)) * wish.weight,
            weight: wish.weight,
            count: 1,
        };
        while let Some(before) = blocks.pop_if(|before| before.mean() > block.mean()) {
            block.sum += before.sum;
            block.weight += before.weight;
            block.count += before.count;
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|block| {
        let mean = i32::try_from(block.mean()).unwrap_or_default();
        std::iter::repeat_n(mean, block.count)
    });
    means
        .zip(offsets)
        .map(|(mean, offset)| mean + offset)
        .collect()
}
