//! Labels do not depend on who and where: articles that differ in names of people and places only get the same topics.

use dateline::{Article, Classification, Model, Options, article::Decision};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// The number of pairs of each article.
const PAIRS: usize = 5;

/// The articles with slots for names, and the names of each country.
#[derive(Deserialize)]
struct Counterfactual {
    names: Vec<BTreeMap<String, String>>,
    articles: Vec<Template>,
}

/// An article with slots for names, such as `{city}`.
#[derive(Deserialize)]
struct Template {
    id: String,
    topic: String,
    headline: String,
    body: String,
}

impl Template {
    /// The article with the names of one country.
    fn fill(&self, names: &BTreeMap<String, String>) -> Article {
        let filled = |text: &str| {
            let place = |name: &str| if name == "country" { "country_name".to_owned() } else { name.to_owned() };
            names.keys().fold(text.to_owned(), |text, name| {
                let value = &names[&place(name)];
                text.replace(&format!("{{{name}}}"), value)
            })
        };
        let article = Article { headline: filled(&self.headline), body: filled(&self.body), ..Article::default() };
        assert!(!article.body.contains('{') && !article.headline.contains('{'), "{}: an unknown slot", self.id);
        article
    }
}

/// The codes of the topics that are AUTO, sorted.
fn auto(answer: &Classification) -> Vec<&str> {
    let topics = answer.topics.iter().filter(|topic| topic.decision == Decision::Auto);
    let mut codes: Vec<&str> = topics.map(|topic| &*topic.code).collect();
    codes.sort_unstable();
    codes
}

#[test]
fn names_of_people_and_places_do_not_change_the_topics() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/counterfactual.json");
    let data = fs::read(path).expect("the file can be read");
    let Counterfactual { names, articles } = serde_json::from_slice(&data).expect("JSON");
    let model = Model::bundled().expect("the bundled model opens");
    let classify = |template: &Template, names: &BTreeMap<String, String>| {
        model.classify(&template.fill(names), &Options::default()).expect("a valid article")
    };
    let (mut pairs, mut same, mut right, mut flips) = (0, 0, 0, Vec::new());
    for (i, template) in articles.iter().enumerate() {
        let first = classify(template, &names[i % names.len()]);
        right += usize::from(first.topics.first().is_some_and(|topic| *topic.code == *template.topic));
        for pair in 1..=PAIRS {
            // Countries that are far apart in the list, which is in the order of the parts of the world.
            let other = &names[(i + pair * names.len() / (PAIRS + 1)) % names.len()];
            let second = classify(template, other);
            pairs += 1;
            let best = [&first, &second].map(|answer| answer.topics.first().map(|topic| &*topic.name));
            match best[0] == best[1] {
                true => same += 1,
                false => println!(
                    "{}: {best:?} with the names of {} and {}",
                    template.id,
                    names[i % names.len()]["country"],
                    other["country"]
                ),
            }
            // One AUTO more or less is a change of confidence; another AUTO instead is a wrong answer that is sure.
            let (one, two) = (auto(&first), auto(&second));
            if one.iter().any(|code| !two.contains(code)) && two.iter().any(|code| !one.contains(code)) {
                flips.push(format!("{}: {one:?} and {two:?} ({})", template.id, other["country"]));
            }
        }
    }
    println!(
        "{same} of {pairs} pairs have the same first topic; it is the intended one for {right} of {} articles",
        articles.len()
    );
    assert!(pairs >= 200);
    assert!(same * 100 >= pairs * 97, "{same} of {pairs}");
    assert!(flips.is_empty(), "{flips:#?}");
    // Otherwise the pairs would be the same because nothing is recognised.
    assert!(right * 10 >= articles.len() * 9, "{right} of {}", articles.len());
}
