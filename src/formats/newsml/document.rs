//! A document of NewsML-G2, its items, and the document with labels in it.

use super::labels::LabelSlot;
use crate::{article::Classification, formats::xml::Element};
use std::{ops::Range, sync::Arc};

/// A document: one item of news, or a message with several.
#[derive(Debug, PartialEq)]
pub struct Document {
    /// The text, without its byte-order mark.
    pub(super) text: String,
    pub(super) has_mark: bool,
    pub(super) items: Vec<ItemData>,
}

/// An item of news in its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub(super) document: Arc<Document>,
    pub(super) index: usize,
}

/// The publication status of an item, and where its labels go.
#[derive(Debug, PartialEq)]
pub(super) struct ItemData {
    /// `usable`, `withheld`, `canceled`, or another status in lower case.
    status: String,
    /// The end of the embargo; empty without one.
    embargoed: String,
    slot: LabelSlot,
}

impl Item {
    /// The document of the item.
    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }

    /// Whether this is the last item of its document.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.document.items.len()
    }

    /// Whether the publisher withdrew the item.
    pub fn is_canceled(&self) -> bool {
        self.data().is_canceled()
    }

    /// Whether the item is withheld from publication until further notice.
    pub fn is_withheld(&self) -> bool {
        self.data().status == "withheld"
    }

    /// The end of the embargo, as written; empty without one.
    pub fn embargoed(&self) -> &str {
        &self.data().embargoed
    }

    fn data(&self) -> &ItemData {
        &self.document.items[self.index]
    }
}

impl ItemData {
    pub(super) fn of(text: &str, item: &Element) -> ItemData {
        let status = item.at(&["itemMeta", "pubStatus"]);
        let status =
            status.and_then(|status| status.attribute("qcode").or_else(|| status.attribute("uri"))).unwrap_or_default();
        let status = status.rsplit([':', '/']).next().unwrap_or_default().to_ascii_lowercase();
        let embargoed = item.at(&["itemMeta", "embargoed"]).map(Element::text);
        // An empty element is an embargo without an end.
        let embargoed = embargoed.map(|until| if until.is_empty() { "until further notice".to_owned() } else { until });
        ItemData { status, embargoed: embargoed.unwrap_or_default(), slot: LabelSlot::of(text, item) }
    }

    fn is_canceled(&self) -> bool {
        matches!(&*self.status, "canceled" | "cancelled")
    }
}

impl Document {
    /// The document with labels in its items; `answers` has one element per item, `None` to leave the item unchanged. Labels
    /// replace earlier labels of this creator. Canceled items get none.
    pub fn labelled(&self, answers: &[Option<&Classification>]) -> String {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        for (item, answer) in self.items.iter().zip(answers) {
            if let Some(answer) = answer.filter(|_| !item.is_canceled()) {
                changes.extend(item.slot.changes(answer));
            }
        }
        changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut labelled = String::with_capacity(self.text.len() + 1024);
        if self.has_mark {
            labelled.push('\u{FEFF}');
        }
        let mut from = 0;
        for (range, new) in changes {
            labelled.push_str(&self.text[from..range.start.max(from)]);
            labelled.push_str(&new);
            from = range.end.max(from);
        }
        labelled + &self.text[from..]
    }
}
