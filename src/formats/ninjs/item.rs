//! An item of ninjs, with all its fields.

use super::version::Version;
use crate::formats::object::{Object, on_one_line};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An item of news: its fields in order, with their values as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub(super) object: Object,
    pub(super) version: Version,
}

impl Item {
    /// Parses an item; `None` if the JSON is not an object of ninjs.
    ///
    /// An item has a `uri`, or a `guid` as Superdesk writes it. It also names the standard (`standard`), or has a field of
    /// ninjs only, or has a field that ninjs and rows share and none of rows only.
    pub fn read(json: &[u8]) -> Option<Item> {
        let object = Object::read(json)?;
        let version = Version::of(&object)?;
        Some(Item { object, version })
    }

    /// The `uri` of the item, or its `guid`.
    pub fn uri(&self) -> String {
        self.text(&["uri", "guid"])
    }

    /// Whether the publisher withdrew the item. It is then passed on without labels.
    pub fn is_canceled(&self) -> bool {
        ["canceled", "cancelled"].contains(&self.text(&["pubStatus", "pubstatus"]).to_ascii_lowercase().as_str())
    }

    /// The end of the embargo, as written; empty without one. A value that is not a string is returned as JSON, since the item
    /// must not pass as free.
    pub fn embargoed(&self) -> String {
        let raw = self.find("embargoed").map(RawValue::get).filter(|raw| !["null", "false"].contains(raw));
        raw.map_or_else(String::new, |raw| serde_json::from_str(raw).unwrap_or_else(|_| on_one_line(raw)))
    }

    /// The item without changes, on one line.
    pub fn unlabelled(&self) -> String {
        self.object.written_with(Vec::new())
    }

    pub(super) fn find(&self, name: &str) -> Option<&RawValue> {
        self.object.find(name)
    }

    /// The first value of some fields that is a string and not empty; empty if there is none.
    pub(super) fn text(&self, names: &[&str]) -> String {
        let texts = names.iter().filter_map(|name| serde_json::from_str::<String>(self.find(name)?.get()).ok());
        texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The elements of a list that have the right type. One object counts as a list of one.
    pub(super) fn list<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Vec<T> {
        let raw: Vec<Box<RawValue>> = match self.find(name) {
            Some(raw) if raw.get().starts_with('{') => vec![raw.to_owned()],
            raw => raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default(),
        };
        raw.iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
    }

    /// The names of the lists of subjects and of places.
    pub(super) fn list_names(&self) -> (&'static str, &'static str) {
        match self.version {
            Version::One { .. } => ("subject", "place"),
            Version::Two { .. } | Version::Three => ("subjects", "places"),
        }
    }
}

/// A string; empty for a value of another type, which does not invalidate the other fields.
pub fn text<'de, D: Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Ok(serde_json::Value::deserialize(value)?.as_str().unwrap_or_default().to_owned())
}
