//! Cleaned text that maps each byte range back to the source, so that offsets can be reported in the text that the client sent.

use std::{borrow::Cow, ops::Range};

/// A run of text and the source range it stands for. If both have the same length, they map byte for byte; otherwise the run
/// maps as a whole (a character reference, a composed character). The run ends where the next piece starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: usize,
    source_start: usize,
    source_end: usize,
}

/// Text with a mapping to its source.
///
/// Built by appending pieces of the source in order. A text without pieces equals its source.
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

    /// An empty text with capacity for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        MappedText { text: Cow::Owned(String::with_capacity(bytes)), pieces: Vec::new() }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Appends `text`, which replaces the byte range `source` of the source.
    pub fn push(&mut self, text: &str, source: Range<usize>) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        // Extend the last piece if both map byte for byte and are adjacent in the source.
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

    /// Appends a byte range of another mapped text with its mapping to the source.
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

    /// Composes two mappings: the source of `self` is the text of `outer`; the result maps `self` to the source of `outer`.
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

    /// The byte range of the source that a byte range of the text stands for.
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
        let is_bytewise = |piece: Piece, end: usize| end - piece.start == piece.source_end - piece.source_start;
        let start =
            if is_bytewise(piece, end) { piece.source_start + (part.start - piece.start) } else { piece.source_start };
        if part.is_empty() {
            return start..start;
        }
        let (piece, end) = piece_at(part.end - 1);
        let source_end =
            if is_bytewise(piece, end) { piece.source_start + (part.end - piece.start) } else { piece.source_end };
        start..source_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_text_maps_to_itself() {
        let text = MappedText::whole("abc def");
        assert_eq!(text.source(4..7), 4..7);
    }

    #[test]
    fn gaps_and_replacements_map_to_the_source() {
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
    fn parts_keep_their_mapping() {
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
