//! Text processing shared by training and serving: tokenizer, hashes of words and word pairs, tf-idf.
//!
//! Input: a [`Document`](crate::document::Document). Output: [`Word`]s with byte offsets in the text of their section, and
//! their tf-idf by a [`Vocabulary`] as input of linear layers. The models decide which terms a vocabulary contains.

mod error;
mod index;
mod sort;
mod terms;
mod tokenizer;
mod vocabulary;
mod words;

pub use error::IndexError;
pub use index::HashIndex;
pub use sort::{sort_hashes, sort_positions};
pub use terms::{Term, pairs, words};
pub use tokenizer::{Shape, Token, Tokens, tokens};
pub use vocabulary::{Vocabulary, dampened};
pub use words::{Word, character_ngrams, evidence_at, pair_hash, word_hash, words_into};
