//! Groups a stream of articles by copies within a window.

use super::{
    boilerplate::Boilerplate,
    signature::{Signature, content_hash, shingles},
};
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// The default number of articles of a window. They take about 60 MB.
pub const DEFAULT_WINDOW: usize = 50_000;
/// Hashes of a signature, and of a band: finds 95 of 100 pairs that share half of their shingles, and 75 of those that share
/// two fifths.
const HASHES: usize = 63;
const BAND: usize = 3;
/// The estimated share of common shingles from which an article is a copy: half of a story, under another headline.
const ALIKE: f32 = 0.35;

type Band = [u32; BAND];

/// The most recent articles of a stream, in which copies of a new one are looked for.
///
/// `T` identifies an article, such as a number in the stream. An article that is added again with the same `T`, because it was
/// delivered twice, gets the same answer, and is no copy of itself.
#[derive(Debug, Clone)]
pub struct Window<T> {
    capacity: usize,
    articles: VecDeque<Article<T>>,
    /// The number of articles that have left the window. An article's number is its position in the stream.
    left: u64,
    by_id: HashMap<T, u64>,
    /// The latest article with the same words.
    by_content: HashMap<u64, u64>,
    /// The latest article with each band of a signature, by the band's position.
    by_band: HashMap<(u8, Band), u64>,
    boilerplate: Boilerplate,
}

#[derive(Debug, Clone)]
struct Article<T> {
    content: u64,
    signature: Option<Signature<HASHES>>,
    id: T,
    found: Found<T>,
}

/// The group of an article.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<T> {
    /// The hash of the words of the first article of the group. It stays the same as long as each copy follows another one
    /// within the window, and is the same in every process.
    pub group: u64,
    /// The article that it is a copy of, and the estimated share of common shingles, from 0 to 1; `None` for the first of its
    /// group.
    pub copy_of: Option<(T, f32)>,
}

impl<T> Found<T> {
    /// The id of the group as text: sixteen hexadecimal digits.
    pub fn group_id(&self) -> String {
        format!("{:016x}", self.group)
    }
}

impl<T: Clone + Eq + Hash> Window<T> {
    /// A window of this many articles, at least one.
    pub fn new(capacity: usize) -> Self {
        Window {
            capacity: capacity.max(1),
            articles: VecDeque::new(),
            left: 0,
            by_id: HashMap::new(),
            by_content: HashMap::new(),
            by_band: HashMap::new(),
            boilerplate: Boilerplate::new(),
        }
    }

    /// Finds the group of an article by the hashes of its words, and adds it to the window. An article without words is no copy
    /// of another.
    pub fn add(&mut self, words: &[u64], id: T) -> Found<T> {
        if let Some(same) = self.by_id.get(&id).and_then(|number| self.article(*number)) {
            return same.found.clone();
        }
        let content = content_hash(words.iter().copied());
        if words.is_empty() {
            return Found { group: content, copy_of: None };
        }
        let signature = Signature::of(words, |shingle| self.boilerplate.is_common(shingle));
        let found = match self.find(content, signature.as_ref()) {
            Some((article, similarity)) => {
                Found { group: article.found.group, copy_of: Some((article.id.clone(), similarity)) }
            }
            None => Found { group: content, copy_of: None },
        };
        // Repeated articles count once.
        if !self.by_content.contains_key(&content) {
            self.boilerplate.count(shingles(words));
        }
        self.push(Article { content, signature, id, found: found.clone() });
        found
    }

    /// The most similar article that has a band in common, if it is similar enough.
    fn find(&self, content: u64, signature: Option<&Signature<HASHES>>) -> Option<(&Article<T>, f32)> {
        if let Some(number) = self.by_content.get(&content) {
            return Some((self.article(*number)?, 1.0));
        }
        let signature = signature?;
        let numbers = keys(signature).filter_map(|key| self.by_band.get(&key));
        let candidates = numbers.filter_map(|number| {
            let article = self.article(*number)?;
            let similarity = signature.similarity(article.signature.as_ref()?);
            (similarity >= ALIKE).then_some((article, similarity))
        });
        candidates.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn article(&self, number: u64) -> Option<&Article<T>> {
        self.articles.get(usize::try_from(number.checked_sub(self.left)?).ok()?)
    }

    /// Adds an article, and removes the oldest one if the window is full.
    fn push(&mut self, article: Article<T>) {
        let number = self.left + self.articles.len() as u64;
        self.by_id.insert(article.id.clone(), number);
        self.by_content.insert(article.content, number);
        for key in article.signature.iter().flat_map(keys) {
            self.by_band.insert(key, number);
        }
        self.articles.push_back(article);
        if self.articles.len() > self.capacity
            && let Some(oldest) = self.articles.pop_front()
        {
            self.forget(&oldest, self.left);
            self.left += 1;
        }
    }

    /// Removes the entries of an article, unless a later one has replaced them.
    fn forget(&mut self, article: &Article<T>, number: u64) {
        self.by_id.remove(&article.id);
        if self.by_content.get(&article.content) == Some(&number) {
            self.by_content.remove(&article.content);
        }
        for key in article.signature.iter().flat_map(keys) {
            if self.by_band.get(&key) == Some(&number) {
                self.by_band.remove(&key);
            }
        }
    }
}

/// The bands of a signature with their positions.
fn keys(signature: &Signature<HASHES>) -> impl Iterator<Item = (u8, Band)> + '_ {
    (0..).zip(signature.bands().iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::pair_hash;

    /// Words that no other seed has.
    fn words(seed: u64, count: u64) -> Vec<u64> {
        (0..count).map(|i| pair_hash(seed, i)).collect()
    }

    #[test]
    fn copies_join_the_group_of_the_first_one() {
        let mut window = Window::new(10);
        let first = window.add(&words(1, 100), "a");
        assert_eq!(first.copy_of, None);
        let other = window.add(&words(2, 100), "b");
        assert!(other.copy_of.is_none() && other.group != first.group);
        // Another beginning, and without the end.
        let cut = [words(3, 5), words(1, 100)[3..90].to_vec()].concat();
        let copy = window.add(&cut, "c");
        let (of, similarity) = copy.copy_of.expect("a copy");
        assert!(copy.group == first.group && of == "a" && (0.6..1.0).contains(&similarity), "{similarity}");
        assert_eq!(window.add(&cut, "d"), Found { group: first.group, copy_of: Some(("c", 1.0)) });
        let again = Window::new(5).add(&words(1, 100), ());
        assert_eq!(again.group, first.group, "a group has the same id in every process");
    }

    #[test]
    fn an_article_that_comes_again_gets_the_same_answer() {
        let mut window = Window::new(10);
        let first = window.add(&words(1, 100), 1);
        let copy = window.add(&words(1, 90), 2);
        assert_eq!(window.add(&words(1, 100), 1), first);
        let same_words = window.add(&words(1, 100), 3);
        assert_eq!(same_words.copy_of, Some((1, 1.0)));
        // Also after copies of it.
        assert_eq!(window.add(&words(1, 100), 1), first);
        assert_eq!(window.add(&words(1, 90), 2), copy);
        assert_eq!(window.articles.len(), 3);
    }

    #[test]
    fn articles_leave_the_window() {
        let mut window = Window::new(2);
        window.add(&words(1, 100), 1);
        window.add(&words(2, 100), 2);
        assert_eq!(window.add(&words(1, 100), 3).copy_of, Some((1, 1.0)));
        window.add(&words(4, 100), 4);
        assert_eq!(window.add(&words(2, 100), 5).copy_of, None, "the second has left");
        assert_eq!(window.add(&words(1, 99), 6).copy_of, None, "and the third");
        assert_eq!(window.articles.len(), 2);
        assert_eq!((window.by_id.len(), window.by_content.len(), window.by_band.len()), (2, 2, 42));
    }

    #[test]
    fn short_articles_are_copies_only_if_all_words_are_equal() {
        let mut window = Window::new(10);
        window.add(&words(1, 10), 1);
        assert_eq!(window.add(&words(1, 9), 2).copy_of, None);
        assert_eq!(window.add(&words(1, 10), 3).copy_of, Some((1, 1.0)));
        window.add(&[], 4);
        assert_eq!(window.add(&[], 5).copy_of, None, "nothing is no copy of nothing");
    }

    #[test]
    fn a_shared_footer_does_not_make_copies() {
        let footer = words(1_000, 400);
        let story = |seed: u64| [words(seed, 40), footer.clone()].concat();
        let mut window = Window::new(1000);
        let copies = (0..200).filter(|seed| window.add(&story(*seed), *seed).copy_of.is_some()).count();
        // Those before the footer was known as one.
        assert!((30..45).contains(&copies), "{copies}");
        assert_eq!(window.add(&story(500), 500).copy_of, None);
        assert_eq!(window.add(&story(500)[..430], 501).copy_of.map(|(of, _)| of), Some(500));
    }
}
