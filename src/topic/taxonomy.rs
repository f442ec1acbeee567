//! The table of the IPTC Media Topics: English names and first-level topics of codes. Models have their own labels; the
//! table only adds names and topics for codes it contains.

use std::{collections::HashMap, sync::LazyLock};

/// The IPTC Media Topics, release of October 2023 (CC BY 4.0): code, code of the first-level topic, English name.
static IPTC: LazyLock<HashMap<&str, (&str, &str)>> = LazyLock::new(|| {
    let lines = include_str!("data/iptc-media-topics.tsv").lines().skip(1);
    lines
        .filter_map(|line| line.split_once('\t').and_then(|(code, rest)| Some((code, rest.split_once('\t')?))))
        .collect()
});

/// The English name of a code; `None` if the table does not contain the code.
pub fn name(code: &str) -> Option<&'static str> {
    IPTC.get(code).map(|(_, name)| *name)
}

/// The code of the first-level topic of a code, which for a first-level topic is the code itself; `None` if the table does
/// not contain the code.
pub fn topic_of(code: &str) -> Option<&'static str> {
    IPTC.get(code).map(|(topic, _)| *topic)
}

/// The codes of the first-level topics, in ascending order.
pub fn topics() -> impl Iterator<Item = &'static str> {
    let mut codes: Vec<&str> = IPTC.iter().filter(|(code, (topic, _))| *code == topic).map(|(code, _)| *code).collect();
    codes.sort_unstable();
    codes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_and_topics() {
        assert_eq!(topics().count(), 17);
        assert_eq!(name("medtop:11000000"), Some("politics"));
        assert_eq!(name("medtop:20001065"), Some("soccer"));
        assert_eq!(topic_of("medtop:20001065"), Some("medtop:15000000"));
        assert_eq!(topic_of("medtop:15000000"), Some("medtop:15000000"));
        assert_eq!((name("alt.atheism"), topic_of("alt.atheism")), (None, None));
    }
}
