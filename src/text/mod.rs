//! Text to words: the one tokenizer and the hashes of words and word pairs, for training and serving alike.
//!
//! In: a [`Document`](crate::document::Document). Out: [`Word`]s with byte offsets into the text of their section, and for the
//! linear layers their tf-idf by a [`Vocabulary`]. Which words a vocabulary has, and what they say, is the models' business.

mod index;
mod terms;
mod tokenizer;
mod vocabulary;
mod words;

pub use index::HashIndex;
pub use terms::{Term, pairs, words};
pub use tokenizer::{Shape, Token, Tokens, tokens};
pub use vocabulary::{Vocabulary, dampened};
pub use words::{Word, character_ngrams, evidence_at, pair_hash, word_hash, words_into};

/// Why an index or a vocabulary cannot be put together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IndexError(&'static str);
