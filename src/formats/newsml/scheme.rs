//! Schemes of codes, and the creator of Dateline's labels.

use crate::formats::xml::Element;

/// The scheme of IPTC Media Topics.
pub const MEDIA_TOPICS: &str = "http://cv.iptc.org/newscodes/mediatopic/";
/// The prefix of codes of Media Topics, in models and in QCodes.
pub const MEDIA_TOPIC: &str = "medtop:";
/// The beginning of this creator's URI; the version of the model follows.
pub const CREATOR: &str = "urn:dateline:model:";

/// Whether this creator made a subject.
pub fn is_own(subject: &Element) -> bool {
    subject.attribute("creatoruri").is_some_and(|creator| creator.starts_with(CREATOR))
}
