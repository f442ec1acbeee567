//! Cleaned text that maps each byte range back to the source, so that offsets can be reported in the text that the client sent.

use std::{borrow::Cow, ops::Range};

/// A run of text and the source range it stands for. The run ends where the next piece starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start: usize,
    source_start: usize,
    source_end: usize,
    /// Whether both have the same length and map byte for byte. Otherwise the run maps as a whole (a character reference, a
    /// composed character).
    is_bytewise: bool,
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

    /// Appends `text`, which stands for the byte range `source` of the source: byte for byte if both have the same length.
    pub fn push(&mut self, text: &str, source: Range<usize>) {
        let is_bytewise = text.len() == source.len();
        self.append(text, source, is_bytewise);
    }

    /// Appends `text`, which replaces the byte range `source` of the source as a whole.
    pub fn replace(&mut self, text: &str, source: Range<usize>) {
        self.append(text, source, false);
    }

    fn append(&mut self, text: &str, source: Range<usize>, is_bytewise: bool) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        // Extend the last piece if both map byte for byte and are adjacent in the source.
        match self.pieces.last_mut() {
            Some(last) if is_bytewise && last.is_bytewise && last.source_end == source.start => {
                last.source_end = source.end;
            }
            _ => {
                self.pieces.push(Piece { start, source_start: source.start, source_end: source.end, is_bytewise });
            }
        }
        self.text.to_mut().push_str(text);
    }

    /// Appends a byte range of another mapped text with its mapping to the source.
    pub fn push_part(&mut self, other: &MappedText<'_>, part: Range<usize>) {
        self.push_like(&other.text[part.clone()], other, part);
    }

    /// Appends `text` with the mapping of a byte range of another mapped text, for which it stands byte for byte.
    fn push_like(&mut self, text: &str, other: &MappedText<'_>, part: Range<usize>) {
        if other.pieces.is_empty() {
            self.push(text, part);
            return;
        }
        let first = other.pieces.partition_point(|piece| piece.start <= part.start).saturating_sub(1);
        for (i, piece) in other.pieces.iter().enumerate().skip(first) {
            let within = piece.start.max(part.start)..other.end_of(i).min(part.end);
            if within.is_empty() {
                break;
            }
            let text = &text[within.start - part.start..within.end - part.start];
            self.append(text, other.source(within), piece.is_bytewise);
        }
    }

    /// The end of a piece in the text.
    fn end_of(&self, piece: usize) -> usize {
        self.pieces.get(piece + 1).map_or(self.text.len(), |next| next.start)
    }

    /// Composes two mappings: the source of `self` is the text of `outer`; the result maps `self` to the source of `outer`.
    pub fn through(&self, outer: &MappedText<'_>) -> MappedText<'static> {
        let mut out = MappedText::with_capacity(self.text.len());
        if self.pieces.is_empty() {
            out.push_part(outer, 0..self.text.len());
            return out;
        }
        for (i, piece) in self.pieces.iter().enumerate() {
            let text = &self.text[piece.start..self.end_of(i)];
            let source = piece.source_start..piece.source_end;
            match piece.is_bytewise {
                true => out.push_like(text, outer, source),
                false => out.replace(text, outer.source(source)),
            }
        }
        out
    }

    /// The byte range of the source that a byte range of the text stands for.
    pub fn source(&self, part: Range<usize>) -> Range<usize> {
        if self.pieces.is_empty() {
            return part;
        }
        let piece_at =
            |offset: usize| self.pieces[self.pieces.partition_point(|piece| piece.start <= offset).saturating_sub(1)];
        let piece = piece_at(part.start);
        let within = if piece.is_bytewise { part.start - piece.start } else { 0 };
        let start = piece.source_start + within;
        if part.is_empty() {
            return start..start;
        }
        let piece = piece_at(part.end - 1);
        let end = if piece.is_bytewise { piece.source_start + (part.end - piece.start) } else { piece.source_end };
        start..end
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
    fn a_replacement_of_equal_length_maps_as_a_whole() {
        let source = "a\u{1E008}\u{EC8}b";
        let mut text = MappedText::with_capacity(9);
        text.push("a", 0..1);
        text.replace("\u{EC8}\u{1E008}", 1..8);
        text.push("b", 8..9);
        let mut part = MappedText::with_capacity(9);
        part.push_part(&text, 0..4);
        for mapped in [&text, &part, &part.through(&MappedText::whole(source))] {
            assert_eq!((mapped.source(0..1), mapped.source(1..4)), (0..1, 1..8));
        }
        assert_eq!(text.source(4..9), 1..9);
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
