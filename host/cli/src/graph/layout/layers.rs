//! Every box is in a layer below those that it follows.

use std::collections::BTreeMap;

use super::BESIDE;

/// Places for passing edges in one scope. Beyond that nobody can read the picture, and long edges are drawn straight.
const PASSES: usize = 20_000;
/// Pixels that the boxes of a layer take at most, unless one alone is wider: what does not fit beside each other goes below.
const WIDEST: i64 = 1_500;

/// What stands at a place of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A box, by its position.
    Box(usize),
    /// Edges on their way.
    Passing,
}

/// A scope in layers. Its vertices are the boxes, by their positions, and then the places of passing edges.
#[derive(Debug)]
pub(super) struct Layers {
    /// What every vertex is.
    pub(super) places: Vec<Place>,
    /// The layer of every vertex.
    pub(super) ranks: Vec<usize>,
    /// The vertices of every layer, from left to right.
    pub(super) rows: Vec<Vec<usize>>,
    /// Whether a layer goes on with what did not fit into the one above.
    pub(super) goes_on: Vec<bool>,
    /// The neighbours of every vertex in the layer above, and in the one below.
    pub(super) above: Vec<Vec<usize>>,
    pub(super) below: Vec<Vec<usize>>,
    /// The vertices that every edge passes, from above.
    pub(super) passes: Vec<Vec<usize>>,
}

/// Edges that pass a layer together: they all end, or all begin, at one box, so whoever follows the line is not led astray.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bundle {
    To(usize),
    From(usize),
}

impl Layers {
    pub(super) fn new(widths: &[i32], edges: &[(usize, usize)]) -> Self {
        let boxes = widths.len();
        let (ranks, goes_on) = wrapped(&ranks(boxes, edges), widths);
        let mut layers = Self {
            places: (0..boxes).map(Place::Box).collect(),
            rows: vec![Vec::new(); goes_on.len()],
            goes_on,
            ranks,
            above: vec![Vec::new(); boxes],
            below: vec![Vec::new(); boxes],
            passes: Vec::with_capacity(edges.len()),
        };
        for at in 0..boxes {
            layers.rows[layers.ranks[at]].push(at);
        }
        let mut ending = vec![0_usize; boxes];
        let mut beginning = vec![0_usize; boxes];
        for (from, to) in edges {
            if layers.ranks[*from] + 1 < layers.ranks[*to] {
                ending[*to] += 1;
                beginning[*from] += 1;
            }
        }
        let mut bundles = BTreeMap::new();
        for (from, to) in edges {
            let bundle = match ending[*to] >= beginning[*from] {
                true => Bundle::To(*to),
                false => Bundle::From(*from),
            };
            let passes = layers.lead(*from, *to, bundle, &mut bundles);
            layers.passes.push(passes);
        }
        for neighbours in layers.above.iter_mut().chain(&mut layers.below) {
            neighbours.sort_unstable();
            neighbours.dedup();
        }
        layers
    }

    /// Leads an edge down, layer by layer; the answer is what it passes.
    fn lead(
        &mut self,
        from: usize,
        to: usize,
        bundle: Bundle,
        bundles: &mut BTreeMap<(Bundle, usize), usize>,
    ) -> Vec<usize> {
        let between = self.ranks[from] + 1..self.ranks[to];
        let goes_down = self.ranks[from] < self.ranks[to];
        if !goes_down || bundles.len() + between.len() > PASSES {
            return Vec::new();
        }
        let mut passes = Vec::new();
        let mut before = from;
        for rank in between {
            let vertex = match bundles.get(&(bundle, rank)) {
                Some(vertex) => *vertex,
                None => {
                    let vertex = self.pass(rank);
                    bundles.insert((bundle, rank), vertex);
                    vertex
                }
            };
            self.connect(before, vertex);
            passes.push(vertex);
            before = vertex;
        }
        self.connect(before, to);
        passes
    }

    /// A new place in a layer.
    fn pass(&mut self, rank: usize) -> usize {
        let vertex = self.places.len();
        self.places.push(Place::Passing);
        self.ranks.push(rank);
        self.rows[rank].push(vertex);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        vertex
    }

    fn connect(&mut self, upper: usize, lower: usize) {
        self.below[upper].push(lower);
        self.above[lower].push(upper);
    }
}

/// The length of the longest way to every box.
fn ranks(boxes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut following = vec![Vec::new(); boxes];
    let mut waits_for = vec![0_usize; boxes];
    for (from, to) in edges {
        following[*from].push(*to);
        waits_for[*to] += 1;
    }
    let mut ranks = vec![0; boxes];
    let mut ready: Vec<usize> = (0..boxes).filter(|at| waits_for[*at] == 0).collect();
    while let Some(at) = ready.pop() {
        for to in &following[at] {
            ranks[*to] = ranks[*to].max(ranks[at] + 1);
            waits_for[*to] -= 1;
            if waits_for[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    ranks
}

/// Layers that are too wide become several, in the order of the boxes and equally full; the answer is the layer of every box, and
/// which layers go on with the one above.
fn wrapped(ranks: &[usize], widths: &[i32]) -> (Vec<usize>, Vec<bool>) {
    let room = |at: usize| i64::from(widths[at]) + i64::from(BESIDE);
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (at, rank) in ranks.iter().enumerate() {
        members.resize_with(members.len().max(rank + 1), Vec::new);
        members[*rank].push(at);
    }
    let mut wrapped = vec![0; ranks.len()];
    let mut goes_on = Vec::new();
    for row in members {
        let whole: i64 = row.iter().map(|at| room(*at)).sum();
        let lines = (whole + WIDEST - 1) / WIDEST;
        let mut taken = 0;
        let mut line = 0;
        let first = goes_on.len();
        for at in row {
            // Where the middle of the box would be in one long line.
            let middle = taken + room(at) / 2;
            taken += room(at);
            line = usize::try_from(middle * lines / whole.max(1))
                .unwrap_or(line)
                .max(line);
            wrapped[at] = first + line;
        }
        goes_on.push(false);
        goes_on.resize(first + line + 1, true);
    }
    (wrapped, goes_on)
}
