use proptest::collection::vec;
use proptest::prelude::*;

use super::super::layout::BETWEEN;
use super::super::model::{Kind, Live};
use super::*;

/// A step without a body.
fn step(key: usize, text: &str) -> Node {
    Node {
        key,
        id: format!("s{key}"),
        kind: Kind::Call,
        what: text.to_owned(),
        needs: Vec::new(),
        join: key.is_multiple_of(5).then_some("all_done"),
        condition: key.is_multiple_of(3).then(|| text.to_owned()),
        continues: key.is_multiple_of(4),
        body: None,
        live: key.is_multiple_of(2).then(|| Live {
            status: Standing::Failed,
            line: format!("failed: {text}"),
            error: None,
        }),
    }
}

/// What one step of a random drawing is made of: whose member it is, how long its texts are, and what it has an arrow from.
type Seed = (usize, usize, Vec<usize>);

/// The scope of the steps that `inside` has; every third step of a drawing may have members.
fn scope(seeds: &[Seed], parents: &[Option<usize>], inside: Option<usize>) -> Scope {
    let members: Vec<usize> = (0..seeds.len())
        .filter(|at| parents[*at] == inside)
        .collect();
    let mut scope = Scope::default();
    for (to, key) in members.iter().enumerate() {
        let (_, letters, arrows) = &seeds[*key];
        let mut node = step(*key, &"word ".repeat(*letters));
        if parents.contains(&Some(*key)) {
            node.kind = Kind::Loop;
            node.body = Some(Body {
                scope: self::scope(seeds, parents, Some(*key)),
                rule: node.what.clone(),
                limit: "at most 3 times".to_owned(),
                again: true,
            });
        }
        scope.nodes.push(node);
        for from in arrows
            .iter()
            .filter(|_| to > 0)
            .map(|from| from % to.max(1))
        {
            let edge = Edge { from, to };
            if !scope.edges.contains(&edge) {
                scope.edges.push(edge);
            }
        }
        if key % 5 == 0 && to > 0 {
            let back = Edge {
                from: to,
                to: to / 2,
            };
            scope.reworks.push(back);
        }
    }
    scope
}

fn parents(seeds: &[Seed]) -> Vec<Option<usize>> {
    let parent = |(at, (parent, ..)): (usize, &Seed)| {
        let candidates: Vec<usize> = (0..at).filter(|other| other % 3 == 0).collect();
        match parent % 2 {
            0 => None,
            _ => candidates.get(parent % candidates.len().max(1)).copied(),
        }
    };
    seeds.iter().enumerate().map(parent).collect()
}

fn overlap(a: &Frame, b: &Frame) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

fn contains(outer: &Frame, inner: &Frame) -> bool {
    outer.x < inner.x
        && inner.right() < outer.right()
        && outer.y < inner.y
        && inner.bottom() < outer.bottom()
}

fn is_around(parents: &[Option<usize>], outer: usize, mut inner: usize) -> bool {
    while let Some(parent) = parents[inner] {
        if parent == outer {
            return true;
        }
        inner = parent;
    }
    false
}

/// What a part of a way takes, as a box.
fn part(from: Point, to: Point) -> Frame {
    Frame {
        x: from.x.min(to.x),
        y: from.y.min(to.y),
        width: (from.x - to.x).abs(),
        height: (from.y - to.y).abs(),
    }
}

proptest! {
    #[test]
    fn boxes_never_overlap_and_stay_inside_of_those_around_them(
        seeds in vec((0_usize..40, 0_usize..60, vec(0_usize..40, 0..4)), 1..40)
    ) {
        let parents = parents(&seeds);
        let scope = scope(&seeds, &parents, None);
        let group = Group::new(&scope, false);
        prop_assert_eq!(group.boxes.len(), seeds.len());
        let page = Frame { x: -1, y: -1, width: group.size.width + 2, height: group.size.height + 2 };
        for one in &group.boxes {
            prop_assert!(contains(&page, &one.frame), "{:?} {:?}", page, one.frame);
            let lines = one.card.lines.last().map_or(0, |line| line.baseline);
            prop_assert!(lines < one.frame.height, "{:?}", one);
            prop_assert!(one.card.size.width <= one.frame.width, "{:?}", one);
            for other in &group.boxes {
                let (outer, inner) = (one.node.key, other.node.key);
                if outer == inner {
                    continue;
                }
                if is_around(&parents, outer, inner) {
                    prop_assert!(contains(&one.frame, &other.frame), "{:?} {:?}", one, other);
                    let head = one.frame.y + one.card.size.height;
                    prop_assert!(head <= other.frame.y, "{:?} {:?}", one, other);
                } else if !is_around(&parents, inner, outer) {
                    prop_assert!(!overlap(&one.frame, &other.frame), "{:?} {:?}", one, other);
                }
            }
        }
        for arrow in &group.arrows {
            let [start, .., end] = arrow.points.as_slice() else {
                return Err(TestCaseError::fail("an arrow goes somewhere"));
            };
            let touches = |point: &Point| {
                group.boxes.iter().any(|one| {
                    let frame = &one.frame;
                    (frame.x..=frame.right()).contains(&point.x)
                        && (point.y == frame.y || point.y == frame.bottom())
                })
            };
            prop_assert!(touches(start) && touches(end), "{:?}", arrow);
            for pair in arrow.points.windows(2) {
                let way = part(pair[0], pair[1]);
                prop_assert!(way.x >= 0 && way.right() <= group.size.width, "{:?}", arrow);
                prop_assert!(way.y >= 0 && way.bottom() <= group.size.height, "{:?}", arrow);
            }
        }
    }

    #[test]
    fn no_arrow_of_a_scope_crosses_a_box_of_it(
        boxes in vec((20_i32..400, 20_i32..300), 1..30),
        arrows in vec((0_usize..30, 0_usize..30), 0..60),
    ) {
        let sizes: Vec<Size> =
            boxes.iter().map(|(width, height)| Size { width: *width, height: *height }).collect();
        let mut edges: Vec<(usize, usize)> = arrows
            .into_iter()
            .map(|(a, b)| (a % sizes.len(), b % sizes.len()))
            .filter(|(a, b)| a != b)
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        edges.sort_unstable();
        edges.dedup();
        let layout = lay_out(&sizes, &edges);
        for ((from, to), route) in edges.iter().zip(&layout.routes) {
            let below = layout.frames[*from].bottom() + BETWEEN;
            prop_assert!(layout.frames[*to].y >= below, "an arrow goes down");
            for pair in route.windows(2) {
                let way = part(pair[0], pair[1]);
                for frame in &layout.frames {
                    prop_assert!(!overlap(&way, frame), "{:?} {:?}", route, frame);
                }
            }
        }
        let same = lay_out(&sizes, &edges);
        prop_assert_eq!(same.frames, layout.frames);
    }
}

/// A sequence is what most workflows are: one straight column.
#[test]
fn a_sequence_is_one_straight_column() {
    let sizes = [90, 250, 130].map(|width| Size { width, height: 40 });
    let layout = lay_out(&sizes, &[(0, 1), (1, 2)]);
    let columns: Vec<i32> = layout
        .routes
        .iter()
        .flatten()
        .map(|point| point.x)
        .collect();
    assert!(columns.iter().all(|x| *x == 125), "{columns:?}");
}

/// One step, two that both follow it, and one that follows both.
#[test]
fn a_diamond_is_symmetric() {
    let sizes = [100; 4].map(|width| Size { width, height: 40 });
    let layout = lay_out(&sizes, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
    let places: Vec<_> = layout
        .frames
        .iter()
        .map(|frame| (frame.x, frame.y))
        .collect();
    assert_eq!(places, [(64, 0), (0, 78), (128, 78), (64, 156)]);
    assert_eq!(
        layout.size,
        Size {
            width: 228,
            height: 196
        }
    );
}

/// Bodies of a thousand members with all the arrows that they can have are read by nobody, but they must not take the program down.
#[test]
fn what_nobody_can_read_is_drawn_all_the_same() {
    let sizes = vec![
        Size {
            width: 100,
            height: 40
        };
        1_000
    ];
    let edges: Vec<_> = (0..1_000)
        .flat_map(|to| (to - to.min(100)..to).map(move |from| (from, to)))
        .collect();
    let layout = lay_out(&sizes, &edges);
    assert_eq!(layout.routes.len(), edges.len());
}
