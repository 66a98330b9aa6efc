//! Boxes inside boxes, with absolute positions: each scope is laid out by itself, from the innermost one outwards.

use super::card::Card;
use super::layout::{Frame, Layout, Point, Size, lay_out};
use super::model::{Body, Edge, Node, Scope, Standing};

/// From the side of a box to what is inside of it.
const INSIDE: i32 = 18;
/// The same from its lower side; there is room for a way back.
const BELOW: i32 = 4;
/// From one way back to the next, and from the boxes to the first.
const LANE: i32 = 14;
/// Lanes beside each other; beyond that nobody could tell them apart.
const LANES: usize = 24;
/// How far above or below a box a way back turns aside.
const ASIDE: i32 = 13;
/// From the corner of a box to where a way back begins or ends.
const CORNER: i32 = 24;

/// What is inside of one scope.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    /// How much room it takes.
    pub(super) size: Size,
    /// The boxes; one around others comes before them.
    pub(super) boxes: Vec<Placed<'a>>,
    /// The arrows.
    pub(super) arrows: Vec<Arrow>,
}

/// A step in its place.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    /// The step.
    pub(super) node: &'a Node,
    /// Its lines.
    pub(super) card: Card,
    /// Where it is.
    pub(super) frame: Frame,
}

/// An arrow in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    /// What it means.
    pub(super) meaning: Meaning,
    /// Where it goes.
    pub(super) points: Vec<Point>,
    /// How the step stands to which it leads.
    pub(super) standing: Option<Standing>,
}

/// What an arrow means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// One follows the other: the points are those of a [route](Layout::routes).
    Next,
    /// The body begins again: the points are corners.
    Again,
    /// A rejection goes back: the points are corners.
    Rejected,
}

impl<'a> Group<'a> {
    /// Places the members of a scope, which is done again and again or not.
    pub(super) fn new(scope: &'a Scope, repeats: bool) -> Self {
        let mut members: Vec<_> = scope.nodes.iter().map(Member::new).collect();
        // Steps of one scope are equally wide: the eye finds what is below what.
        let alone = |member: &&Member<'_>| member.inside.is_none();
        let widest = members.iter().filter(alone).map(|member| member.size.width);
        let widest = widest.max().unwrap_or_default();
        for member in members.iter_mut().filter(|member| member.inside.is_none()) {
            member.size.width = widest;
        }
        let sizes: Vec<Size> = members.iter().map(|member| member.size).collect();
        let edges: Vec<_> = scope
            .edges
            .iter()
            .map(|edge| (edge.from, edge.to))
            .collect();
        let mut layout = lay_out(&sizes, &edges);

        let ways = lanes(&scope.reworks, &layout);
        let lanes = ways.iter().copied().chain(repeats.then_some(1)).max();
        // As much room on the left as on the right: the boxes stay in the middle.
        let around = match lanes.unwrap_or_default() {
            0 => Point { x: 0, y: 0 },
            lanes => Point {
                x: (lanes + 1) * LANE,
                y: 2 * ASIDE,
            },
        };
        shift(&mut layout, around);

        let mut group = Self {
            size: Size {
                width: layout.size.width + 2 * around.x,
                height: layout.size.height + 2 * around.y,
            },
            ..Self::default()
        };
        for (member, frame) in members.into_iter().zip(&layout.frames) {
            member.put(*frame, &mut group);
        }
        let standing = |to: usize| scope.nodes[to].live.as_ref().map(|live| live.status);
        for (edge, points) in scope.edges.iter().zip(std::mem::take(&mut layout.routes)) {
            group.arrows.push(Arrow {
                meaning: Meaning::Next,
                points,
                standing: standing(edge.to),
            });
        }
        for (edge, lane) in scope.reworks.iter().zip(ways) {
            let side = Side {
                lane: around.x - lane * LANE,
                of: |frame| frame.x + CORNER,
            };
            group.arrows.push(Arrow {
                meaning: Meaning::Rejected,
                points: side.back(&layout, *edge),
                standing: None,
            });
        }
        if repeats && let Some(edge) = outermost(&layout) {
            let side = Side {
                lane: group.size.width - around.x + LANE,
                of: |frame| frame.right() - CORNER,
            };
            group.arrows.push(Arrow {
                meaning: Meaning::Again,
                points: side.back(&layout, edge),
                standing: None,
            });
        }
        group
    }

    /// All of it elsewhere.
    pub(super) fn moved(mut self, by: Point) -> Self {
        for placed in &mut self.boxes {
            placed.frame = placed.frame.moved(by);
        }
        for point in self.arrows.iter_mut().flat_map(|arrow| &mut arrow.points) {
            point.x += by.x;
            point.y += by.y;
        }
        self
    }
}

/// A step before it has its place.
struct Member<'a> {
    node: &'a Node,
    card: Card,
    inside: Option<Group<'a>>,
    size: Size,
}

impl<'a> Member<'a> {
    fn new(node: &'a Node) -> Self {
        let card = Card::new(node);
        let inside = node
            .body
            .as_ref()
            .map(|Body { scope, again, .. }| Group::new(scope, *again));
        let size = inside.as_ref().map_or(card.size, |inside| Size {
            width: card.size.width.max(inside.size.width + 2 * INSIDE),
            height: card.size.height + inside.size.height + BELOW,
        });
        Self {
            node,
            card,
            inside,
            size,
        }
    }

    fn put(self, frame: Frame, group: &mut Group<'a>) {
        let top = self.card.size.height;
        group.boxes.push(Placed {
            node: self.node,
            card: self.card,
            frame,
        });
        if let Some(inside) = self.inside {
            let inside_at = Point {
                x: frame.x + (frame.width - inside.size.width) / 2,
                y: frame.y + top,
            };
            let inside = inside.moved(inside_at);
            group.boxes.extend(inside.boxes);
            group.arrows.extend(inside.arrows);
        }
    }
}

fn shift(layout: &mut Layout, by: Point) {
    for frame in &mut layout.frames {
        *frame = frame.moved(by);
    }
    for (top, bottom) in &mut layout.rows {
        *top += by.y;
        *bottom += by.y;
    }
    for point in layout.routes.iter_mut().flatten() {
        point.x += by.x;
        point.y += by.y;
    }
}

/// The lane of every way back, from 1: those beside each other have lanes of their own.
fn lanes(edges: &[Edge], layout: &Layout) -> Vec<i32> {
    let mut order: Vec<usize> = (0..edges.len()).collect();
    order.sort_by_key(|at| layout.rows[edges[*at].to].0);
    let mut lanes = vec![1; edges.len()];
    // Where the last way in every lane ends.
    let mut taken: Vec<i32> = Vec::new();
    for at in order {
        let (above, below) = (layout.rows[edges[at].to].0, layout.rows[edges[at].from].1);
        let free = taken.iter().position(|end| *end < above - 2 * ASIDE);
        let lane = match free {
            Some(lane) => lane,
            None if taken.len() < LANES => {
                taken.push(below);
                taken.len() - 1
            }
            None => at % LANES,
        };
        taken[lane] = taken[lane].max(below);
        lanes[at] = i32::try_from(lane).unwrap_or_default() + 1;
    }
    lanes
}

/// From the last box to the first one: of the lowest and of the uppermost layer, those on the right.
fn outermost(layout: &Layout) -> Option<Edge> {
    let all = || 0..layout.frames.len();
    Some(Edge {
        from: all().max_by_key(|at| (layout.rows[*at].0, layout.frames[*at].x))?,
        to: all().min_by_key(|at| (layout.rows[*at].0, -layout.frames[*at].x))?,
    })
}

/// The side on which a way back goes.
struct Side {
    /// Where it goes up.
    lane: i32,
    /// Where it leaves and meets a box.
    of: fn(&Frame) -> i32,
}

impl Side {
    /// Down into the gap below a box, aside, up, and down into another box.
    fn back(&self, layout: &Layout, edge: Edge) -> Vec<Point> {
        let (from, to) = (layout.frames[edge.from], layout.frames[edge.to]);
        let (below, above) = (
            layout.rows[edge.from].1 + ASIDE,
            layout.rows[edge.to].0 - ASIDE,
        );
        let (start, end) = ((self.of)(&from), (self.of)(&to));
        [
            (start, from.bottom()),
            (start, below),
            (self.lane, below),
            (self.lane, above),
            (end, above),
            (end, to.y),
        ]
        .map(|(x, y)| Point { x, y })
        .to_vec()
    }
}

#[cfg(test)]
mod tests;
