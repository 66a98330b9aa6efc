//! Lines of a picture, as SVG writes them.

use std::fmt::Write as _;

use super::super::layout::Point;

/// How far before a box a line ends: its arrow head goes on from there.
const HEAD: i32 = 7;
/// Radius of a corner.
const ROUND: i32 = 8;

/// Straight down inside of layers, and in a curve from one column to another between them.
pub(super) fn route(points: &[Point]) -> String {
    let mut path = String::new();
    let mut before: Option<Point> = None;
    for (at, point) in points.iter().enumerate() {
        let Point { x, mut y } = *point;
        let next = points.get(at + 1);
        // In the middle of a straight line.
        if before.is_some_and(|before| before.x == x) && next.is_some_and(|next| next.x == x) {
            continue;
        }
        if next.is_none() {
            y -= HEAD;
        }
        // Writing to a String cannot fail.
        let _ = match before {
            None => write!(path, "M{x} {y}"),
            Some(before) if before.x == x => write!(path, "V{y}"),
            Some(before) => {
                let middle = i32::midpoint(before.y, y);
                write!(path, "C{} {middle} {x} {middle} {x} {y}", before.x)
            }
        };
        before = Some(*point);
    }
    path
}

/// From corner to corner, which are round.
pub(super) fn corners(points: &[Point]) -> String {
    let mut path = String::new();
    let last = points.len().saturating_sub(1);
    for (at, point) in points.iter().enumerate() {
        let Point { x, y } = *point;
        let _ = match at {
            0 => write!(path, "M{x} {y}"),
            _ if at == last => write!(path, "L{x} {}", y - HEAD),
            _ => {
                let (into, out) = (points[at - 1], points[at + 1]);
                let before = towards(*point, into);
                let after = towards(*point, out);
                write!(
                    path,
                    "L{} {}Q{x} {y} {} {}",
                    before.x, before.y, after.x, after.y
                )
            }
        };
    }
    path
}

/// A little away from a point, towards another in its row or column; never more than half of the way.
fn towards(from: Point, to: Point) -> Point {
    let step = |from: i32, to: i32| {
        let half = (to - from) / 2;
        from + half.clamp(-ROUND, ROUND)
    };
    Point {
        x: step(from.x, to.x),
        y: step(from.y, to.y),
    }
}
