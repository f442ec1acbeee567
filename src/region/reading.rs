//! A place name in its context: its possible meanings, its cues, and the doubt whether it is a place at all.

use super::{
    gazetteer::{Meaning, NameKind},
    mentions::Mention,
};
use std::borrow::Cow;

/// A place name and its possible meanings in its context.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The position of the name.
    pub mention: Mention,
    /// The meanings of the term that the neighbouring words allow; empty if the name is not a place.
    pub meanings: Cow<'static, [Meaning]>,
    /// The cues in the neighbouring words, for the [`MentionModel`](super::MentionModel).
    pub cues: Vec<u64>,
    /// Whether the neighbouring words identify the place: "Athens, Ga.".
    pub(super) resolved: bool,
    /// What the name may be if it is not a place.
    pub(super) doubt: Doubt,
}

/// What a name may be if it is not a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Doubt {
    /// No doubt.
    None,
    /// A common noun, in a position where any word has a capital: "Turkey farmers".
    Noun,
    /// A given name, before a capitalised word that rarely follows places; holds the cue of that word.
    GivenName(u64),
    /// An adjective that merely describes a thing, before a noun that rarely follows adjectives of places; holds the cue of the
    /// noun.
    Attribute(u64),
}

impl Reading {
    /// The likeliest meaning.
    pub fn likeliest(&self) -> Option<&Meaning> {
        self.meanings.iter().reduce(|best, one| if one.share > best.share { one } else { best })
    }
}

/// The least share of a meaning that counts as evidence for the meanings of other names.
pub(super) const CERTAIN: f32 = 0.9;

/// Whether the likeliest meaning is a country, a state or a town: such names may also be given names or common nouns.
pub(super) fn is_country_state_or_town(meanings: &[Meaning]) -> bool {
    meanings
        .first()
        .is_some_and(|one| one.kind == NameKind::Country || one.kind == NameKind::State || one.kind.is_town())
}
