//! Where the boxes of one scope are, and how its edges go: the layered drawing of Sugiyama, in whole numbers.
//!
//! | file | idea |
//! |---|---|
//! | [`layers`] | every box is below those that it follows; long edges get a place in each layer that they pass, together with others that go to the same box |
//! | [`order`] | who stands left of whom in a layer, so that few edges cross |
//! | [`columns`] | where everybody stands, close to those that it is connected with, without touching; a layer that was too wide becomes a grid |
//!
//! # Invariants
//! - Boxes do not overlap, and an edge crosses none: it changes its column between two layers only.
//! - A sequence is one straight column.

mod columns;
mod layers;
mod order;

use self::layers::{Layers, Place};

/// Pixels between two boxes of a layer.
pub(super) const BESIDE: i32 = 28;
/// Pixels between two layers.
pub(super) const BETWEEN: i32 = 38;
/// Pixels that passing edges take.
const PASSING: i32 = 4;
/// How far to the side an edge may lead from one layer to the next before the gap between them grows, and by how much at most.
const FLAT: i32 = 200;
const STEEPER: i32 = 50;

/// How much room a box needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Size {
    pub(super) width: i32,
    pub(super) height: i32,
}

/// A point, from the left and from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) x: i32,
    pub(super) y: i32,
}

/// A box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Frame {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Frame {
    /// Right of it.
    pub(super) fn right(&self) -> i32 {
        self.x + self.width
    }

    /// Below it.
    pub(super) fn bottom(&self) -> i32 {
        self.y + self.height
    }

    /// The same elsewhere.
    pub(super) fn moved(self, by: Point) -> Self {
        Self {
            x: self.x + by.x,
            y: self.y + by.y,
            ..self
        }
    }
}

/// One scope, drawn from (0, 0).
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// All of it.
    pub(super) size: Size,
    /// Every box.
    pub(super) frames: Vec<Frame>,
    /// The layer of every box, and where that begins and ends from the top.
    pub(super) rows: Vec<(i32, i32)>,
    /// Every edge, from the lower side of a box to the upper side of another: straight down inside of a layer from the first point
    /// to the second, to another column between that layer and the next, straight down again, and so on.
    pub(super) routes: Vec<Vec<Point>>,
}

/// Places the boxes of a scope. `edges` goes from positions to positions in `sizes`, without cycles.
pub(super) fn lay_out(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    if sizes.is_empty() {
        return Layout::default();
    }
    let widths: Vec<i32> = sizes.iter().map(|size| size.width).collect();
    let mut layers = Layers::new(&widths, edges);
    order::arrange(&mut layers);
    let width = |place: Place| match place {
        Place::Box(at) => sizes[at].width,
        Place::Passing => PASSING,
    };
    let centres = columns::place(&layers, width);
    let edge_of = |vertex: usize, sign: i32| {
        let half = (width(layers.places[vertex]) + 1) / 2;
        centres[vertex] + sign * half
    };
    let vertices = 0..layers.places.len();
    let left = vertices.clone().map(|vertex| edge_of(vertex, -1)).min();
    let left = left.unwrap_or_default();
    let right = vertices.map(|vertex| edge_of(vertex, 1)).max();
    let mut rows = Vec::new();
    let mut top = 0;
    let mut height = 0;
    for row in &layers.rows {
        let heights = row.iter().map(|vertex| match layers.places[*vertex] {
            Place::Box(at) => sizes[at].height,
            Place::Passing => 0,
        });
        let bottom = top + heights.max().unwrap_or_default();
        rows.push((top, bottom));
        height = bottom;
        let aside = row.iter().flat_map(|upper| {
            let lower = layers.below[*upper].iter();
            lower.map(|lower| (centres[*upper] - centres[*lower]).abs())
        });
        let aside = aside.max().unwrap_or_default();
        top = bottom + BETWEEN + ((aside - FLAT).max(0) / 12).min(STEEPER);
    }
    let frames: Vec<Frame> = sizes
        .iter()
        .enumerate()
        .map(|(at, size)| Frame {
            x: centres[at] - (size.width + 1) / 2 - left,
            y: rows[layers.ranks[at]].0,
            width: size.width,
            height: size.height,
        })
        .collect();
    let routes = edges
        .iter()
        .zip(&layers.passes)
        .map(|((from, to), passes)| {
            let (from, to) = (*from, *to);
            let below = rows[layers.ranks[from]].1;
            let start = Point {
                x: centres[from] - left,
                y: frames[from].bottom(),
            };
            let mut route = vec![start, Point { y: below, ..start }];
            for vertex in passes {
                let (top, bottom) = rows[layers.ranks[*vertex]];
                let x = centres[*vertex] - left;
                route.extend([Point { x, y: top }, Point { x, y: bottom }]);
            }
            route.push(Point {
                x: centres[to] - left,
                y: frames[to].y,
            });
            route
        });
    Layout {
        size: Size {
            width: right.unwrap_or_default() - left,
            height,
        },
        routes: routes.collect(),
        rows: layers.ranks[..sizes.len()]
            .iter()
            .map(|rank| rows[*rank])
            .collect(),
        frames,
    }
}
