//! Text to words: the one tokenizer and the hashes of words and word pairs, for training and serving alike.
//!
//! In: a [`Document`](crate::clean::Document). Out: [`Word`]s with byte offsets into the text of their section. No
//! vocabulary lives here; which words matter is the models' business.

mod tokenizer;
mod words;

pub use tokenizer::{Shape, Token, Tokens, tokens};
pub use words::{Word, evidence_at, pair_hash, word_hash, words_into};
