//! A place name as its article has it: what it may mean there, what stands beside it, and what else it may be than a place.

use super::{
    gazetteer::{Kind, Meaning},
    mentions::Mention,
};
use std::borrow::Cow;

/// A place name and what it may mean where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Where it stands.
    pub mention: Mention,
    /// The term's meanings, or what the words beside it leave of them; none where it is no place.
    pub meanings: Cow<'static, [Meaning]>,
    /// What the words beside it are, as the [`MentionModel`](super::MentionModel) reads it.
    pub cues: Vec<u64>,
    /// Whether the words beside it say which place it is: "Athens, Ga.".
    pub(super) told: bool,
    /// What else it may be than a place.
    pub(super) doubt: Doubt,
}

/// What else a name may be than a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// A common noun, where any word would have a capital: "Turkey farmers".
    Noun,
    /// A given name, where a capital stands behind it that is seldom behind places: the cue of that word.
    GivenName(u64),
    /// A mere attribute of a thing, where a noun stands behind an adjective that seldom does: the cue of that word.
    Attribute(u64),
}

impl Reading {
    /// Its likeliest meaning.
    pub fn likeliest(&self) -> Option<&Meaning> {
        self.meanings.iter().reduce(|best, one| if one.share > best.share { one } else { best })
    }
}

/// From this share on a meaning is certain enough to speak for other names.
pub(super) const CERTAIN: f32 = 0.9;

/// Whether the likeliest meaning is a country or a town under a name that may also be a given name.
pub(super) fn is_noun(meanings: &[Meaning]) -> bool {
    meanings.first().is_some_and(|one| one.kind == Kind::Country || one.kind == Kind::State || one.kind.is_town())
}
