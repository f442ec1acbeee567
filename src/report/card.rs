//! The model card, `MODEL_CARD.md`: how the model was made, how good it is, and where it falls short.

use super::{
    collect::{bins, label_rows},
    data::LabelRow,
    table::{Table, number, text},
    tables, world,
};
use crate::{
    geography,
    model::{Manifest, Model, NEVER_AUTO},
    region::{BESIDE, FEATURES},
    topic::taxonomy,
    train::{
        Data, FOLDS, LeftOut, Trained,
        metrics::{self, LabelScore, Outcome, SourceScore},
        regions::TrainedRegions,
        topic_scores::TopicAnswer,
        topics::TrainedTopics,
    },
};
use std::{
    collections::BTreeMap,
    fmt::{Result, Write as _},
};

/// The card of a trained model. `notes` is the trainer's Markdown about the data; it may be empty.
pub fn card(trained: &Trained, data: &Data, notes: &str) -> String {
    let mut card = String::new();
    // Writing to a string cannot fail.
    let _ = write_card(&mut card, trained, data, notes);
    card
}

fn write_card(card: &mut String, trained: &Trained, data: &Data, notes: &str) -> Result {
    let model = &trained.model;
    write_head(card, trained)?;
    write_making(card, model)?;
    write_data(card, trained, &data.left_out, notes)?;
    write_topic_quality(card, model.manifest())?;
    if let Some(topics) = &trained.topics {
        write_trained_topics(card, model, topics)?;
    }
    write_region_quality(card, model.manifest())?;
    if let Some(regions) = &trained.regions {
        write_region_peers(card, regions)?;
    }
    write_region_features(card, model)?;
    if let Some(regions) = &trained.regions {
        write_countries(card, regions)?;
    }
    write_parts_of_the_world(card, &world::of_training(trained, data))?;
    writeln!(
        card,
        "## Limits\n\n\
         - Cross-validation tests on articles of the same sources as the training rows. Articles of other outlets and years are\n  \
           harder: see the sources that were left out.\n\
         - Place names are found in English text. Organisations and people count as far as training rows mention them.\n\
         - Parts of the world (\"West African leaders\") are answered with the probability of a country named in the same way.\n  \
           No training row has them, so their quality is not measured.\n\
         - Articles in languages other than those above get the decision ABSTAIN."
    )
}

fn write_head(card: &mut String, trained: &Trained) -> Result {
    let manifest = trained.model.manifest();
    writeln!(
        card,
        "# Model {}\n\n\
         Classifies news articles by topic and country. {} topics, {} sub-topics, {} countries, languages: {}, {:.1} MB.\n",
        trained.model.version(),
        manifest.topics.labels.len(),
        manifest.topics.subtopics.len(),
        geography::subjects(),
        manifest.languages.join(", "),
        trained.size() as f64 / 1e6,
    )
}

fn write_making(card: &mut String, model: &Model) -> Result {
    let manifest = model.manifest();
    writeln!(
        card,
        "## How it was made\n\n\
         Datasets, training and prediction traits, metrics and the calibrated decision layers are linfa 0.8.1: stock\n\
         `LogisticRegression` on cross-fitted scores, one per topic and sub-topic, and on the features of candidate countries for\n\
         regions. linfa has no estimator for sparse input (rust-ml/linfa#192), so the sparse linear solver is this project's,\n\
         implementing linfa's `Fit` and `PredictInplace`.\n"
    )?;
    let (terms, vectors) = (model.topics().vocabulary().len(), model.topics().vectors());
    let ngrams = if manifest.topics.ngrams { ", character n-grams" } else { "" };
    writeln!(
        card,
        "The linear layer of the topics reads {terms} words, word pairs{ngrams} and words of headlines and openings, and the sums of\n\
         word vectors over article and opening ({} words, {} dimensions; distilled from a sentence encoder, see NOTICE). The\n\
         decision layer of each topic reads its score, the best score of the other topics, and the form of the article: headline\n\
         and body, headline alone, length. Topics {}. Sub-topics are learned from the articles of their topic and are given only\n\
         together with it. The probability of a sub-topic is that of its topic times its own among articles on the topic.\n",
        vectors.len(),
        vectors.dimensions(),
        if manifest.topics.exclusive {
            "exclude each other, because each training row has one: their probabilities sum to 1"
        } else {
            "do not exclude each other: each has a probability of its own"
        },
    )
}

fn write_data(card: &mut String, trained: &Trained, left_out: &LeftOut, notes: &str) -> Result {
    let manifest = trained.model.manifest();
    writeln!(card, "Trained by {} with seed {} on:\n", manifest.trained_by, manifest.seed)?;
    writeln!(card, "{}", tables::files(&manifest.trained_on).to_markdown())?;
    if !notes.trim().is_empty() {
        writeln!(card, "{}\n", notes.trim())?;
    }
    if trained.topics.is_some() && !left_out.rare_labels.is_empty() {
        let rare = left_out.rare_labels.iter().map(|(label, rows)| format!("{label} ({rows})"));
        writeln!(
            card,
            "Labels with too few different rows to be learned, and their number: {}.\n",
            rare.collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(())
}

fn write_topic_quality(card: &mut String, manifest: &Manifest) -> Result {
    writeln!(
        card,
        "## Topics\n\n\
         Measured on held-out folds ({FOLDS}-fold cross-validation, near-duplicates in one fold). The thresholds were chosen on the\n\
         same folds, so that figures that depend on them are slightly optimistic. An article is given the topics that are AUTO or\n\
         REVIEW. `accuracy` is the share of articles whose best topic is one of theirs. `calibration_error` is over all pairs of an\n\
         article and a topic.\n"
    )?;
    writeln!(card, "{}", tables::measures("measure", &manifest.topics.measured).to_markdown())?;
    let thresholds = manifest.topics.thresholds;
    writeln!(
        card,
        "AUTO begins at a confidence of {:.3}, for some topics higher: from there, at least {} of 100 labels were right, at least {}\n\
         of each topic, and at least {} of those close to the threshold. REVIEW begins at {:.3}, where micro-F1 is best.\n",
        thresholds.auto,
        percent(metrics::AUTO.precision),
        percent(metrics::AUTO.precision_of_label),
        percent(metrics::AUTO.precision_at_threshold),
        thresholds.review,
    )
}

fn write_trained_topics(card: &mut String, model: &Model, trained: &TrainedTopics) -> Result {
    let manifest = model.manifest();
    if let Some(scores) = &trained.scores_of_all {
        writeln!(
            card,
            "Rows that were selected by topic (`how` is `selected`) are trained on, and are not measured. On all {} rows: micro-F1\n\
             {:.3}, macro-F1 {:.3}, accuracy {:.3}.\n",
            scores.rows, scores.micro_f1, scores.macro_f1, scores.accuracy
        )?;
    }
    writeln!(card, "{}", topic_labels(model, &trained.scores.labels).to_markdown())?;
    write_sources(card, &trained.scores.sources, &trained.left_out_sources)?;
    writeln!(card, "Confidence of every topic, and the share of articles about it:\n")?;
    writeln!(card, "{}", tables::reliability(&bins(&outcomes(&trained.answers))).to_markdown())?;
    let is_known = |code: &str| manifest.topics.labels.iter().any(|label| label.code == code);
    let missing: Vec<String> = taxonomy::topics()
        .filter(|code| taxonomy::topics().any(&is_known) && !is_known(code))
        .map(|code| format!("{} ({code})", taxonomy::name(code).unwrap_or(code)))
        .collect();
    if !missing.is_empty() {
        writeln!(card, "Never answered, because no training row has them: {}.\n", missing.join(", "))?;
    }
    if let Some(scores) = &trained.subtopic_scores {
        writeln!(
            card,
            "### Sub-topics\n\n\
             Measured in the same way. AUTO: at least {} of 100 were right, at least {} of each sub-topic, and the topic is AUTO too.\n\
             REVIEW begins at {:.3}.\n",
            percent(metrics::AUTO_SUBTOPIC.precision),
            percent(metrics::AUTO_SUBTOPIC.precision_of_label),
            manifest.topics.subtopic_review,
        )?;
        writeln!(card, "{}", tables::measures("measure", &scores.measures()).to_markdown())?;
        writeln!(card, "{}", topic_labels(model, &scores.labels).to_markdown())?;
    }
    Ok(())
}

/// Topics or sub-topics, with the threshold of AUTO of each.
fn topic_labels(model: &Model, scores: &BTreeMap<String, LabelScore>) -> Table {
    let topics = &model.manifest().topics;
    let entries = topics.labels.iter().chain(&topics.subtopics);
    let thresholds: BTreeMap<&str, f32> = entries.map(|label| (&*label.code, label.auto_from)).collect();
    let auto_from = |row: LabelRow| {
        let auto_from = thresholds.get(&*row.code).map(|from| match *from >= NEVER_AUTO {
            true => "never".to_owned(),
            false => format!("{from:.3}"),
        });
        LabelRow { auto_from, ..row }
    };
    let rows = label_rows(scores, |code| model.topics().name_of(code).unwrap_or(code).to_owned());
    tables::labels(&rows.into_iter().map(auto_from).collect::<Vec<_>>())
}

fn write_region_quality(card: &mut String, manifest: &Manifest) -> Result {
    writeln!(
        card,
        "## Regions\n\n\
         Measured in the same way, over all countries; `*_five` over those with at least five articles, `*_others` without the most\n\
         frequent country. `without_dateline_*` is for the same articles without their datelines. For `without_country_names_*` all\n\
         names, adjectives and peoples of countries are masked, for `without_names_*` all place names, in datelines too. Each article\n\
         was scored by a text model that had not seen it. The ranker's weights come from the other folds, which their text models\n\
         had seen. `calibration_error` is over all countries that are listed, `calibration_error_about` over those answered.\n\
         `auto_coverage` is the share of the articles with a country that are given one as AUTO.\n"
    )?;
    writeln!(card, "{}", tables::measures("measure", &manifest.regions.measured).to_markdown())?;
    writeln!(
        card,
        "A country is ABOUT from a confidence of {:.3} (best micro-F1, or nearly), and AUTO from {:.3} if it is named by more than an\n\
         adjective: from there, at least {} of 100 countries were right. An article that names no place, and whose words score for\n\
         no country, is answered with the client's `source_country` at {:.3}: the share of training articles without place names\n\
         that are about the most frequent country.\n",
        manifest.regions.thresholds.review,
        manifest.regions.thresholds.auto,
        percent(metrics::AUTO_REGION.precision),
        manifest.regions.home,
    )
}

fn write_region_peers(card: &mut String, trained: &TrainedRegions) -> Result {
    writeln!(card, "On the same folds, the usual methods to find countries:\n")?;
    writeln!(card, "{}", tables::peers(&trained.peers, &trained.scores).to_markdown())?;
    write_sources(card, &trained.sources, &trained.left_out_sources)
}

fn write_region_features(card: &mut String, model: &Model) -> Result {
    let text_model = model.regions().text();
    writeln!(
        card,
        "The ranker reads {} features of each candidate. The text model behind `score` knows {} countries by {} words and word pairs\n\
         that are not place names. Features overlap, so that single weights can look odd; only sums count.\n",
        FEATURES.len() + BESIDE.len(),
        text_model.countries().len(),
        text_model.vocabulary().len(),
    )?;
    let mut table = Table::new([text("feature"), text("range"), number("weight"), text("meaning")]);
    let weights = &model.regions().layers().beside.weights;
    let alone = FEATURES.iter().map(|feature| (feature.name, feature.range, feature.meaning));
    let beside = BESIDE.iter().map(|feature| (feature.name, feature.range, feature.meaning));
    for ((name, range, meaning), weight) in alone.chain(beside).zip(weights) {
        table.push([format!("`{name}`").into(), range.into(), format!("{weight:+.3}").into(), meaning.into()]);
    }
    writeln!(card, "{}", table.to_markdown())
}

fn write_countries(card: &mut String, trained: &TrainedRegions) -> Result {
    let name = |code: &str| geography::place(code).map_or_else(|| code.to_owned(), |place| place.name.to_string());
    let common = trained.scores.labels.iter().filter(|(_, score)| score.support >= 5);
    let common = common.map(|(code, score)| (code.clone(), *score)).collect();
    writeln!(card, "Countries with at least five articles:\n")?;
    writeln!(card, "{}", tables::labels(&label_rows(&common, name)).to_markdown())?;
    writeln!(card, "Confidence of countries that are listed, and the share of articles about them:\n")?;
    writeln!(card, "{}", tables::reliability(&bins(&trained.outcomes)).to_markdown())
}

fn write_parts_of_the_world(card: &mut String, table: &Table) -> Result {
    if table.is_empty() {
        return Ok(());
    }
    writeln!(
        card,
        "## Parts of the world\n\n\
         Measured in the same way, by the sub-regions of UN M49. An article counts for each part that one of its countries is in. A\n\
         country is named if it is the likeliest meaning of a place name in the text. `found` is the share of these countries that are\n\
         answered as ABOUT.\n"
    )?;
    writeln!(card, "{}", table.to_markdown())
}

fn write_sources(
    card: &mut String,
    sources: &BTreeMap<String, SourceScore>,
    left_out: &BTreeMap<String, SourceScore>,
) -> Result {
    for (title, sources) in
        [("By source:", sources), ("By source, each by a model that has seen no row of it:", left_out)]
    {
        if sources.len() > 1 {
            writeln!(card, "{title}\n\n{}", tables::sources(sources).to_markdown())?;
        }
    }
    Ok(())
}

/// Each label of each answer, and whether it is right.
fn outcomes(answers: &[TopicAnswer]) -> Vec<Outcome> {
    let of_answer = |answer: &TopicAnswer| -> Vec<Outcome> {
        let is_right = |code: &str| answer.truth.iter().any(|label| label == code);
        answer.labels.iter().map(|label| (label.confidence, is_right(&label.code))).collect()
    };
    answers.iter().flat_map(of_answer).collect()
}

fn percent(share: f64) -> String {
    format!("{:.0}", share * 100.0)
}
