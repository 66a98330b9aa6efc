//! Who stands left of whom: everybody near the middle of its neighbours in the layer before, downwards and upwards in turn. The
//! order with the fewest crossings stays.

use super::layers::Layers;

/// Sweeps over a scope of usual size.
const SWEEPS: usize = 8;
/// Vertices and edges that all sweeps together may visit.
const VISITS: usize = 400_000;

/// Puts the vertices of every layer into an order.
pub(super) fn arrange(layers: &mut Layers) {
    let edges: usize = layers.below.iter().map(Vec::len).sum();
    let sweeps = SWEEPS.min(VISITS / (layers.places.len() + edges).max(1));
    let mut positions = positions(layers);
    let mut best = (crossings(layers, &positions), layers.rows.clone());
    for sweep in 0..sweeps {
        if best.0 == 0 {
            break;
        }
        let downwards = sweep % 2 == 0;
        let count = layers.rows.len();
        for step in 1..count {
            let rank = if downwards { step } else { count - 1 - step };
            let beside = if downwards {
                &layers.above
            } else {
                &layers.below
            };
            let row = &mut layers.rows[rank];
            // Stable: whom nothing moves stays where it is.
            row.sort_by_cached_key(|vertex| middle(&beside[*vertex], &positions, *vertex));
            for (position, vertex) in row.iter().enumerate() {
                positions[*vertex] = position;
            }
        }
        let crossings = crossings(layers, &positions);
        if crossings < best.0 {
            best = (crossings, layers.rows.clone());
        }
    }
    layers.rows = best.1;
}

fn positions(layers: &Layers) -> Vec<usize> {
    let mut positions = vec![0; layers.places.len()];
    for row in &layers.rows {
        for (position, vertex) in row.iter().enumerate() {
            positions[*vertex] = position;
        }
    }
    positions
}

/// The mean position of its neighbours, in thousandths.
fn middle(neighbours: &[usize], positions: &[usize], vertex: usize) -> usize {
    let sum: usize = neighbours.iter().map(|other| positions[*other]).sum();
    match (sum * 1_000).checked_div(neighbours.len()) {
        Some(middle) => middle,
        None => positions[vertex] * 1_000,
    }
}

/// How many pairs of edges cross.
fn crossings(layers: &Layers, positions: &[usize]) -> usize {
    let mut crossings = 0;
    for pair in layers.rows.windows(2) {
        // How many edges seen so far end at or left of a position: a tree of partial sums.
        let mut ends = vec![0_usize; pair[1].len() + 1];
        let mut seen = 0;
        for vertex in &pair[0] {
            let targets = || layers.below[*vertex].iter().map(|to| positions[*to]);
            for target in targets() {
                let mut at = target + 1;
                let mut left = 0;
                while at > 0 {
                    left += ends[at];
                    at &= at - 1;
                }
                crossings += seen - left;
            }
            for target in targets() {
                seen += 1;
                let mut at = target + 1;
                while at < ends.len() {
                    ends[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
        }
    }
    crossings
}
