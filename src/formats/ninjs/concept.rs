//! The concepts of ninjs: subjects and places, with what identifies them.

use super::item::text;
use serde::Deserialize;

/// The scheme of IPTC Media Topics.
pub const MEDIA_TOPICS: &str = "http://cv.iptc.org/newscodes/mediatopic/";
/// The prefix of a model's codes of Media Topics.
pub const MEDIA_TOPIC: &str = "medtop:";
/// The beginning of this creator's name; the version of the model follows.
pub const CREATOR: &str = "dateline/";

/// A subject or a place.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Concept {
    #[serde(deserialize_with = "text")]
    uri: String,
    #[serde(deserialize_with = "text")]
    literal: String,
    #[serde(deserialize_with = "text")]
    scheme: String,
    #[serde(deserialize_with = "text")]
    code: String,
    #[serde(deserialize_with = "text")]
    creator: String,
}

impl Concept {
    /// The label: the code of a Media Topic, otherwise the literal, code or URI.
    pub fn label(&self) -> Option<String> {
        let topic = self.uri.strip_prefix(MEDIA_TOPICS).map(ToOwned::to_owned);
        let of_scheme = self.is_media_topic().then(|| self.code.clone());
        let topic = topic.or(of_scheme).filter(|code| !code.is_empty());
        match topic {
            Some(code) => Some(format!("{MEDIA_TOPIC}{}", code.trim_start_matches(MEDIA_TOPIC))),
            None => [&self.literal, &self.code, &self.uri].into_iter().find(|text| !text.is_empty()).cloned(),
        }
    }

    /// Whether this program made the concept.
    pub fn is_own(&self) -> bool {
        self.creator.starts_with(CREATOR)
    }

    /// Whether the scheme is that of Media Topics: by its URI, or by the names that Superdesk uses.
    fn is_media_topic(&self) -> bool {
        [MEDIA_TOPICS, "mediatopic", "mediatopics", "medtop"].contains(&&*self.scheme)
    }

    /// A text that is equal for equal concepts.
    pub fn identity(&self) -> String {
        let scheme = if self.is_media_topic() { MEDIA_TOPICS } else { &self.scheme };
        let code = self.code.strip_prefix(MEDIA_TOPIC).unwrap_or(&self.code);
        format!("{}{scheme}{code}{}", self.uri, self.literal).to_lowercase()
    }
}
