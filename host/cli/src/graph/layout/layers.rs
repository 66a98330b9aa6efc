//! Every box is in the layer below those that it follows.

/// Places for passing edges in one scope. Beyond that nobody can read the picture, and long edges are drawn straight.
const PASSES: usize = 20_000;

/// What stands at a place of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A box, by its position.
    Box(usize),
    /// An edge on its way.
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
    /// The neighbours of every vertex in the layer above, and in the one below.
    pub(super) above: Vec<Vec<usize>>,
    pub(super) below: Vec<Vec<usize>>,
    /// The vertices that every edge passes, from above.
    pub(super) passes: Vec<Vec<usize>>,
}

impl Layers {
    pub(super) fn new(boxes: usize, edges: &[(usize, usize)]) -> Self {
        let ranks = ranks(boxes, edges);
        let mut layers = Self {
            places: (0..boxes).map(Place::Box).collect(),
            rows: vec![Vec::new(); ranks.iter().max().map_or(0, |last| last + 1)],
            ranks,
            above: vec![Vec::new(); boxes],
            below: vec![Vec::new(); boxes],
            passes: Vec::with_capacity(edges.len()),
        };
        for at in 0..boxes {
            layers.rows[layers.ranks[at]].push(at);
        }
        let mut left = PASSES;
        for (from, to) in edges {
            let between = layers.ranks[*from] + 1..layers.ranks[*to];
            let goes_down = layers.ranks[*from] < layers.ranks[*to];
            let mut passes = Vec::new();
            if goes_down && between.len() <= left {
                left -= between.len();
                let mut before = *from;
                for rank in between {
                    let vertex = layers.pass(rank);
                    layers.connect(before, vertex);
                    passes.push(vertex);
                    before = vertex;
                }
                layers.connect(before, *to);
            }
            layers.passes.push(passes);
        }
        layers
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
