//! The properties of `fuzz/src/lib.rs` on random inputs. What fuzzing found is in `tests/data/fuzz`, one folder per property.

#[path = "../fuzz/src/lib.rs"]
mod properties;

use dateline::Model;
use proptest::{collection::vec, prelude::*, sample::select};
use std::{fs, path::Path};

/// Pieces of articles, pages, rows and documents, which are joined to inputs that are nearly valid.
const PIECES: [&str; 64] = [
    "<p>",
    "</p>",
    "<h1>",
    "</h1>",
    "<title>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<div hidden>",
    "<br/>",
    "<table><tr><td>",
    "<article class=\"story\">",
    "&amp;",
    "&#x1F600;",
    "&nbsp",
    "<![CDATA[",
    "]]>",
    "<svg>",
    "<a href='/x'>",
    "<style>",
    "<li>",
    "LONDON (Reuters) - ",
    "PARIS, Ky., May 3 (AP) — ",
    "Share this article\n",
    "By Ann Ash\n",
    "Related: ",
    "© 2026 ",
    "Nairobi",
    "the U.S.",
    "Athens, Ga.",
    "Turkey",
    "Jordan",
    "$1.13bn",
    "1990s",
    "AT&T",
    "COVID-19",
    "O'Brien's",
    "İ",
    "ß",
    "東京",
    "e\u{301}",
    "{\"body\": \"",
    "\", \"topics\": [\"",
    "\"]}\n",
    "[{",
    "}, {",
    "null",
    "1e999",
    "\\ud800",
    "__label__sport ",
    "id,headline,body\n",
    "\"a \"\"b\"\"\",",
    "\t",
    ";",
    "<?xml version=\"1.0\" encoding=\"utf-16\"?>",
    "<rss version=\"2.0\"><channel><item>",
    "<newsItem xmlns=\"http://iptc.org/std/nar/2006-10-01/\">",
    "<nitf><body>",
    "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry>",
    "\r\n",
    "\n\n",
    "\u{FEFF}",
    "\0",
];

/// Nearly valid inputs, and any bytes.
fn inputs() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => select(&PIECES[..]).prop_map(str::as_bytes).prop_map(<[u8]>::to_vec),
        2 => "[a-zA-Z ,.'-]{1,12}".prop_map(String::into_bytes),
        1 => "\\PC{0,8}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Checks a property on random inputs, and on the inputs in `tests/data/fuzz/NAME`.
fn check(name: &str, cases: u32, property: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(name);
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("the folder can be read").path();
        property(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(input in inputs())| property(&input));
}

#[test]
fn cleaning_keeps_offsets() {
    check("html", 1000, properties::html);
    check("text", 1000, properties::plain_text);
}

#[test]
fn tokens_are_in_order_and_cover_the_text() {
    check("tokens", 2000, properties::tokens);
}

#[test]
fn place_names_are_read_from_any_text() {
    check("places", 1000, properties::places);
}

#[test]
fn answers_are_sound_and_do_not_depend_on_explanations() {
    check("classify", 1000, properties::classification);
}

#[test]
fn files_are_records_or_errors() {
    for (kind, name) in properties::FILES {
        check(kind, 500, |bytes| properties::file(name, bytes));
    }
}

#[test]
fn messages_are_articles_or_errors() {
    check("message", 1000, properties::message);
    check("request", 1000, properties::request);
}

#[test]
fn connections_with_any_bytes_are_closed() {
    check("http2", 300, properties::server::connection);
}

#[test]
fn a_manipulated_model_is_refused_or_answers() {
    check("model", 300, properties::model);
}

/// With the checksums as they are, a model of which any byte differs is refused, unless the byte is white space of the manifest.
#[test]
fn a_model_with_a_changed_byte_is_refused() {
    let open = |files: &properties::ModelFiles| Model::open(&files.manifest, &files.tensors);
    let model = open(&properties::SMALL).expect("the small model opens");
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(at in any::<prop::sample::Index>(), flip in 1..=255_u8)| {
        let mut files = properties::SMALL.clone();
        let at = at.index(files.manifest.len() + files.tensors.len());
        match at.checked_sub(files.manifest.len()) {
            None => files.manifest[at] ^= flip,
            Some(at) => files.tensors[at] ^= flip,
        }
        prop_assert!(open(&files).is_err() || at < files.manifest.len() && open(&files).is_ok_and(|same| same == model));
    });
}
