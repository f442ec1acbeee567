//! Finds copies of articles: those with the same or nearly the same words, such as wire stories and their reprints.
//!
//! MinHash over shingles of five words, with locality-sensitive hashing in bands (Broder: On the resemblance and
//! containment of documents, SEQUENCES 1997; Leskovec, Rajaraman, Ullman: Mining of Massive Datasets, chapter 3).
//! Candidates are verified by their whole signatures. Shingles that many articles share are boilerplate, such as the footer of
//! a site, and are ignored: it would make copies of short stories that have nothing else in common.
//!
//! In: the hashes of an article's words, in order. Out: its group. A [`Window`] groups a stream of articles; training groups
//! whole archives.

mod boilerplate;
mod signature;
mod window;

pub use signature::{Signature, content_hash, shingles};
pub use window::{DEFAULT_WINDOW, Found, Window};
