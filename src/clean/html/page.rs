//! The text of a page.

use crate::{article::Reason, document::MappedText};
use std::ops::Range;

/// The text of a page.
#[derive(Debug, Default)]
pub struct HtmlText<'a> {
    /// The text, one line per block.
    pub text: MappedText<'a>,
    /// The first `<h1>`, otherwise the `<title>` without the name of the site; empty if the page has neither.
    pub heading: MappedText<'a>,
    /// The byte range of the heading in `text`, if it is an `<h1>`.
    pub heading_in_text: Option<Range<usize>>,
    /// Removed byte ranges of the source, in ascending order; at most one more than
    /// [`MOST_REMOVED`](crate::document::MOST_REMOVED).
    pub removed: Vec<(Range<usize>, Reason)>,
}
