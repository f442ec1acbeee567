//! Names for codes. The model carries its own labels; this table only lends English names to codes that it knows.

use std::{collections::HashMap, sync::LazyLock};

/// Code and English name of the IPTC Media Topics of the first level, release of October 2023 (CC BY 4.0).
static IPTC: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    include_str!("data/iptc-media-topics.tsv").lines().skip(1).filter_map(|line| line.split_once('\t')).collect()
});

/// The English name of a topic code; `None` where the table has none.
pub fn name(code: &str) -> Option<&'static str> {
    IPTC.get(code).copied()
}

/// The codes that the table knows, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    let mut codes: Vec<&str> = IPTC.keys().copied().collect();
    codes.sort_unstable();
    codes.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seventeen_have_names() {
        assert_eq!(IPTC.len(), 17);
        assert_eq!(name("medtop:11000000"), Some("politics"));
        assert_eq!(name("alt.atheism"), None);
    }
}
