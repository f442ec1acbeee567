//! Reports on trained and measured models: one set of tables, rendered as model card (Markdown), page (HTML) and terminal text.
//!
//! In: what [`train`](crate::train) measured. Reports hold ids, labels and single words, no articles.

mod card;
mod collect;
mod data;
mod page;
mod plots;
mod table;
pub mod tables;
mod world;

pub use card::card;
pub use collect::{how_measured, label_rows};
pub use data::{Bin, LabelRow, Mistake, RegionReport, Report, Slice, Slices, SubtopicReport, TopicReport};
pub use table::{Cell, Column, Table, bar, number, share, text};
