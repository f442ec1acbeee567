//! Recognises ninjs and its version by the fields of an object.

use crate::formats::Object;

/// The versions of ninjs, as far as labels differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.x: `subject` and `place` with `scheme` and `code`. Confidence and creator since 1.5.
    One { has_confidence: bool },
    /// 2.x: `subjects` and `places` with `uri`; names in lower case. Confidence and creator since 2.1.
    Two { has_confidence: bool },
    /// 3.x: as 2.1; names in camel case.
    Three,
}

/// Fields of rows that ninjs lacks.
const ROWS_ONLY: [&str; 12] = [
    "id",
    "body",
    "text",
    "topics",
    "dateline",
    "source_country",
    "regions",
    "published",
    "date",
    "source",
    "outlet",
    "format",
];
/// Fields of ninjs that rows lack.
const NINJS_ONLY: [&str; 8] =
    ["headlines", "bodies", "descriptions", "$standard", "pubstatus", "pubStatus", "versioncreated", "versionCreated"];
/// Fields of ninjs that rows may have.
const NINJS: [&str; 6] = ["headline", "title", "subject", "subjects", "place", "places"];
/// Fields of ninjs 2.x and 3.x that 1.x lacks.
const SINCE_TWO: [&str; 5] = ["headlines", "bodies", "descriptions", "subjects", "places"];
/// Fields of ninjs 3.x that earlier versions lack.
const SINCE_THREE: [&str; 7] = [
    "versionCreated",
    "firstCreated",
    "contentCreated",
    "pubStatus",
    "copyrightHolder",
    "copyrightNotice",
    "usageTerms",
];

impl Version {
    /// The version of an item; `None` if the object is not ninjs: see [`Item::read`](super::Item::read).
    pub fn of(object: &Object) -> Option<Version> {
        let has_any = |names: &[&str]| names.iter().any(|name| object.find(name).is_some());
        let standard = object.find("standard").or_else(|| object.find("$standard"));
        let standard: serde_json::Value =
            standard.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let is_declared = standard["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("ninjs"));
        let is_certain = has_any(&NINJS_ONLY) || object.names().any(|name| name.starts_with("body_"));
        let is_likely = has_any(&NINJS) && !has_any(&ROWS_ONLY);
        if !has_any(&["uri", "guid"]) || !(is_declared || is_certain || is_likely) {
            return None;
        }
        let declared = standard["version"].as_str().filter(|_| is_declared).and_then(Version::declared);
        Some(declared.unwrap_or_else(|| match (has_any(&SINCE_THREE), has_any(&SINCE_TWO)) {
            (true, _) => Version::Three,
            (false, true) => Version::Two { has_confidence: true },
            (false, false) => Version::One { has_confidence: true },
        }))
    }

    /// A version such as `2.1`; `None` if it is unknown.
    fn declared(number: &str) -> Option<Version> {
        let mut parts = number.split('.').map(str::parse::<u32>);
        let (major, minor) = (parts.next()?.ok()?, parts.next().and_then(Result::ok).unwrap_or(0));
        match major {
            1 => Some(Version::One { has_confidence: minor >= 5 }),
            2 => Some(Version::Two { has_confidence: minor >= 1 }),
            3.. => Some(Version::Three),
            0 => None,
        }
    }

    /// Whether labels may have `confidence` and `creator`.
    pub fn has_confidence(self) -> bool {
        match self {
            Version::One { has_confidence } | Version::Two { has_confidence } => has_confidence,
            Version::Three => true,
        }
    }
}
