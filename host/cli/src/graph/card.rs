//! The lines inside a box, and how much room they take.

use super::layout::Size;
use super::measure::{Face, Font, width, wrap};
use super::model::Node;

/// From the left side of a box to its texts: a margin, the icon, and a gap.
pub(super) const TEXT: i32 = 40;
/// From the texts to the right side.
const RIGHT: i32 = 14;
/// From the upper side to the first line, and from the last one to the lower side.
const MARGIN: i32 = 10;
/// Room for the texts: at least, with a run at least, and at most.
const NARROW: i32 = 140;
const STANDING: i32 = 240;
const WIDE: i32 = 300;
/// Room beside the id for the badge of a status.
const BADGE: i32 = 26;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// The id of the step.
    Title,
    /// What it does.
    What,
    /// An expression.
    Code,
    /// A remark.
    Note,
    /// How it stands.
    Standing,
}

impl Look {
    /// Letters of this look.
    pub(super) const fn font(self) -> Font {
        let (size, face) = match self {
            Self::Title => (14, Face::Bold),
            Self::What => (12, Face::Sans),
            Self::Code => (11, Face::Mono),
            Self::Note | Self::Standing => (11, Face::Sans),
        };
        Font { size, face }
    }

    /// From a line to the next.
    const fn height(self) -> i32 {
        match self {
            Self::Title | Self::Standing => 19,
            Self::What => 17,
            Self::Code | Self::Note => 15,
        }
    }
}

/// A line of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// How it looks.
    pub(super) look: Look,
    /// What it says.
    pub(super) text: String,
    /// Its baseline, from the top of the box.
    pub(super) baseline: i32,
}

/// The lines of a box, and the room that they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) lines: Vec<Line>,
    pub(super) size: Size,
}

impl Card {
    /// Writes what there is to say of a step.
    pub(super) fn new(node: &Node) -> Self {
        let mut texts = vec![(Look::Title, node.id.as_str().to_owned(), 1)];
        match &node.body {
            Some(body) => {
                texts.push((Look::Code, body.rule.clone(), 3));
                texts.push((Look::Note, body.limit.clone(), 1));
            }
            None => texts.push((Look::What, node.what.clone(), 3)),
        }
        if let Some(join) = node.join {
            texts.push((Look::Note, format!("join {join}"), 1));
        }
        if let Some(condition) = &node.condition {
            texts.push((Look::Code, format!("if {condition}"), 3));
        }
        if node.continues {
            texts.push((Look::Note, "continues after an error".to_owned(), 1));
        }
        let mut room = NARROW;
        let mut lines = Vec::new();
        let mut y = MARGIN;
        for (look, text, most) in texts {
            let beside = match (look, &node.live) {
                (Look::Title, Some(_)) => BADGE,
                _ => 0,
            };
            for text in wrap(&text, look.font(), WIDE - beside, most) {
                room = room.max(width(&text, look.font()) + beside);
                lines.push(line(look, text, &mut y));
            }
        }
        if let Some(live) = &node.live {
            // However it stands, it takes the same room.
            room = room.max(STANDING);
            let look = Look::Standing;
            for text in wrap(&live.line, look.font(), room, 1) {
                lines.push(line(look, text, &mut y));
            }
        }
        let width = TEXT + room.min(WIDE) + RIGHT;
        Self {
            lines,
            size: Size {
                // Even: what is above each other has its middle at the same pixel.
                width: width + width % 2,
                height: y + MARGIN,
            },
        }
    }
}

fn line(look: Look, text: String, y: &mut i32) -> Line {
    *y += look.height();
    Line {
        look,
        text,
        baseline: *y - 5,
    }
}
