//! The end of what a program writes, however much it writes (B77).

use std::collections::VecDeque;

use milepost_core::limits::EXEC_OUTPUT_CHARACTERS;

use super::command::Captured;

/// No character takes more, and no part of a broken one does.
const CHARACTER_BYTES: usize = 4;
/// Enough for the characters that are kept, and for the part of one that is in front of them.
const WINDOW: usize = (EXEC_OUTPUT_CHARACTERS + 1) * CHARACTER_BYTES;

/// Takes a stream and keeps its end.
#[derive(Default)]
pub(super) struct Tail {
    window: VecDeque<u8>,
    total: u64,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(WINDOW)..];
        let over = (self.window.len() + bytes.len()).saturating_sub(WINDOW);
        self.window.drain(..over);
        self.window.extend(bytes);
    }

    pub(super) fn finish(self) -> Captured {
        let mut bytes = Vec::from(self.window);
        let mut cut = 0;
        if (bytes.len() as u64) < self.total {
            // The window may begin inside of a character.
            let inside = |byte: &&u8| (0x80..0xc0).contains(*byte);
            cut = bytes
                .iter()
                .take(CHARACTER_BYTES - 1)
                .take_while(inside)
                .count();
        }
        let text = &bytes[cut..];
        let surplus = characters(text)
            .count()
            .saturating_sub(EXEC_OUTPUT_CHARACTERS);
        cut += characters(text).take(surplus).sum::<usize>();
        bytes.drain(..cut);
        Captured {
            dropped: self.total - bytes.len() as u64,
            bytes,
        }
    }
}

/// The bytes of each character. Where it is no UTF-8, each part that is none counts as one.
fn characters(text: &[u8]) -> impl Iterator<Item = usize> {
    text.utf8_chunks().flat_map(|chunk| {
        let broken = Some(chunk.invalid().len()).filter(|bytes| *bytes > 0);
        chunk.valid().chars().map(char::len_utf8).chain(broken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Captured {
        let mut tail = Tail::default();
        for piece in pieces {
            tail.push(piece.as_ref());
        }
        tail.finish()
    }

    #[test]
    fn b77_exactly_the_limit_is_untouched_and_one_more_loses_one() {
        for character in ["a", "é", "€", "😀"] {
            let exact = character.repeat(EXEC_OUTPUT_CHARACTERS);
            let kept = tail([exact.as_bytes()]);
            assert_eq!((kept.bytes.as_slice(), kept.dropped), (exact.as_bytes(), 0));
            let kept = tail([b"x", exact.as_bytes()]);
            assert_eq!((kept.bytes.as_slice(), kept.dropped), (exact.as_bytes(), 1));
            let kept = tail([exact.as_bytes(), b"x"]);
            let tail = format!("{}x", character.repeat(EXEC_OUTPUT_CHARACTERS - 1));
            assert_eq!(kept.bytes, tail.into_bytes());
            assert_eq!(kept.dropped, character.len() as u64);
        }
    }

    #[test]
    fn b77_whatever_the_pieces_are_the_tail_begins_at_a_character() {
        for character in ["a", "é", "€", "😀"] {
            let text = character.repeat(5 * EXEC_OUTPUT_CHARACTERS / 2);
            for size in [1, 7, 4_096, WINDOW - 1, WINDOW + 1, text.len()] {
                let kept = tail(text.as_bytes().chunks(size));
                let whole = character.repeat(EXEC_OUTPUT_CHARACTERS);
                assert_eq!(kept.bytes, whole.as_bytes(), "{character} by {size}");
                assert_eq!(kept.dropped, (text.len() - whole.len()) as u64);
            }
        }
    }

    #[test]
    fn b77_what_is_no_text_is_bounded_as_well() {
        for byte in [0x80, 0xff, 0xf0] {
            let kept = tail([vec![byte; 3 * WINDOW]]);
            assert_eq!(kept.bytes.len(), EXEC_OUTPUT_CHARACTERS, "{byte:#x}");
            assert_eq!(kept.dropped as usize, 3 * WINDOW - EXEC_OUTPUT_CHARACTERS);
        }
        assert_eq!(tail([b""]).bytes, b"");
    }

    #[test]
    fn no_more_than_the_window_is_held() {
        let mut tail = Tail::default();
        for _ in 0..100 {
            tail.push(&[b'x'; 64 * 1024]);
        }
        assert!(tail.window.capacity() <= 2 * WINDOW + 64 * 1024);
    }
}
