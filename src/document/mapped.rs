//! Text that remembers where it came from, so that offsets can be told in the text that the client sent.

use std::{borrow::Cow, ops::Range};

/// A run of the text that maps onto the source in one of two ways: byte for byte where both sides are equally long,
/// otherwise only as a whole (an entity, a composed character).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: usize,
    source_start: usize,
    source_end: usize,
}

/// Cleaned text with its way back to the source.
///
/// Built by appending pieces of the source in order; what is not appended is gone. A text that equals its source has no
/// pieces at all.
#[derive(Debug, Clone, Default)]
pub struct MappedText<'a> {
    text: Cow<'a, str>,
    pieces: Vec<Piece>,
}

impl<'a> MappedText<'a> {
    /// The whole source, unchanged.
    pub fn whole(source: &'a str) -> Self {
        MappedText { text: Cow::Borrowed(source), pieces: Vec::new() }
    }

    /// Room for about `bytes` of text that will be appended.
    pub fn with_capacity(bytes: usize) -> Self {
        MappedText { text: Cow::Owned(String::with_capacity(bytes)), pieces: Vec::new() }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends `text`, which stands for `source` (byte offsets in the source).
    pub fn push(&mut self, text: &str, source: Range<usize>) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        // Continues the last piece where both run byte for byte without a gap.
        let continues = text.len() == source.len()
            && self.pieces.last().is_some_and(|last| {
                last.source_end == source.start && start - last.start == last.source_end - last.source_start
            });
        if continues {
            if let Some(last) = self.pieces.last_mut() {
                last.source_end = source.end;
            }
        } else {
            self.pieces.push(Piece { start, source_start: source.start, source_end: source.end });
        }
        self.text.to_mut().push_str(text);
    }

    /// Appends a part of another mapped text, keeping its way back.
    pub fn push_part(&mut self, other: &MappedText<'_>, part: Range<usize>) {
        if other.pieces.is_empty() {
            self.push(&other.text[part.clone()], part);
            return;
        }
        let first = other.pieces.partition_point(|piece| piece.start <= part.start).saturating_sub(1);
        for (i, piece) in other.pieces.iter().enumerate().skip(first) {
            let end = other.pieces.get(i + 1).map_or(other.text.len(), |next| next.start);
            let within = piece.start.max(part.start)..end.min(part.end);
            if within.is_empty() {
                break;
            }
            self.push(&other.text[within.clone()], other.source(within));
        }
    }

    /// The same text, whose source is the text of `outer`, with its way back to the source of `outer`.
    pub fn through(&self, outer: &MappedText<'_>) -> MappedText<'static> {
        let mut out = MappedText::with_capacity(self.text.len());
        if self.pieces.is_empty() {
            out.push_part(outer, 0..self.text.len());
            return out;
        }
        for (i, piece) in self.pieces.iter().enumerate() {
            let end = self.pieces.get(i + 1).map_or(self.text.len(), |next| next.start);
            let source = piece.source_start..piece.source_end;
            match end - piece.start == source.len() && self.text[piece.start..end] == outer.text[source.clone()] {
                true => out.push_part(outer, source),
                false => out.push(&self.text[piece.start..end], outer.source(source)),
            }
        }
        out
    }

    /// The bytes of the source that a part of the text stands for.
    pub fn source(&self, part: Range<usize>) -> Range<usize> {
        if self.pieces.is_empty() {
            return part;
        }
        let piece_at = |offset: usize| {
            let i = self.pieces.partition_point(|piece| piece.start <= offset).saturating_sub(1);
            let end = self.pieces.get(i + 1).map_or(self.text.len(), |next| next.start);
            (self.pieces[i], end)
        };
        let (piece, end) = piece_at(part.start);
        let exact = |piece: Piece, end: usize| end - piece.start == piece.source_end - piece.source_start;
        let start =
            if exact(piece, end) { piece.source_start + (part.start - piece.start) } else { piece.source_start };
        if part.is_empty() {
            return start..start;
        }
        let (piece, end) = piece_at(part.end - 1);
        let stop = if exact(piece, end) { piece.source_start + (part.end - piece.start) } else { piece.source_end };
        start..stop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_text_maps_onto_itself() {
        let text = MappedText::whole("abc def");
        assert_eq!(text.source(4..7), 4..7);
    }

    #[test]
    fn gaps_and_replacements_map_back() {
        let source = "ab<b>cd&amp;ef";
        let mut text = MappedText::with_capacity(8);
        text.push("ab", 0..2);
        text.push("cd", 5..7);
        text.push("&", 7..12);
        text.push("ef", 12..14);
        assert_eq!(text.as_str(), "abcd&ef");
        assert_eq!(&source[text.source(2..4)], "cd");
        assert_eq!(&source[text.source(4..5)], "&amp;");
        assert_eq!(&source[text.source(3..6)], "d&amp;e");
    }

    #[test]
    fn parts_keep_their_way_back() {
        let source = "xx cd&amp;ef yy";
        let mut text = MappedText::with_capacity(8);
        text.push("xx cd", 0..5);
        text.push("&", 5..10);
        text.push("ef yy", 10..15);
        let mut part = MappedText::with_capacity(8);
        part.push_part(&text, 4..8);
        assert_eq!(part.as_str(), "d&ef");
        assert_eq!(&source[part.source(0..2)], "d&amp;");
        assert_eq!(&source[part.source(2..4)], "ef");
    }
}
