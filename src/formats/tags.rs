//! Tags in the bytes of XML that is not parsed yet.

use memchr::memmem;

/// The name of the root element, with its prefix; empty if there is none.
pub fn root_name(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], b"<") {
        at += found + 1;
        match bytes.get(at) {
            Some(b'!') if bytes[at..].starts_with(b"!--") => {
                at += find(&bytes[at..], b"-->").unwrap_or(bytes.len() - at);
            }
            // A declaration or a document type; the declarations in an internal subset are skipped one by one.
            Some(b'?' | b'!') => {}
            Some(_) => return name_of(&bytes[at..]),
            None => break,
        }
    }
    b""
}

/// The name, with its prefix, at the beginning of a tag without its bracket. Names are cut off after 64 bytes: the names that
/// matter here are shorter.
pub fn name_of(tag: &[u8]) -> &[u8] {
    const MAX_NAME: usize = 64;
    let name = &tag[..tag.len().min(MAX_NAME)];
    let length = name.iter().position(|byte| b" \t\r\n/><".contains(byte)).unwrap_or(name.len());
    &name[..length]
}

/// A name without its prefix.
pub fn local_name(name: &[u8]) -> &[u8] {
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// The position of the first occurrence.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memmem::find(bytes, wanted)
}

/// Finds the ends of tags, comments or sections. It reads the bytes once, however many searches are made, if these start at
/// increasing positions.
pub struct EndFinder<'b> {
    bytes: &'b [u8],
    end: &'static [u8],
    /// The first end at or after the start of the last search.
    next: Option<usize>,
}

impl<'b> EndFinder<'b> {
    pub fn new(bytes: &'b [u8], end: &'static [u8]) -> Self {
        EndFinder { bytes, end, next: find(bytes, end) }
    }

    /// The position after the first end at or after `from`.
    pub fn after(&mut self, from: usize) -> Option<usize> {
        if self.next.is_some_and(|next| next < from) {
            self.next = find(&self.bytes[from..], self.end).map(|found| from + found);
        }
        self.next.map(|next| next + self.end.len())
    }
}
