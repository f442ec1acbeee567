//! Puts labels into an item of ninjs, as its version has them.

use super::{
    concept::{CREATOR, Concept, MEDIA_TOPIC, MEDIA_TOPICS},
    item::Item,
    version::Version,
};
use crate::{
    article::{Classification, Decision, Label, Role},
    formats::object::on_one_line,
    geography,
};
use serde_json::{Value, json, value::RawValue};

/// The scheme of ISO 3166-1 alpha-2 country codes.
const COUNTRIES: &str = "http://cvx.iptc.org/iso3166-1a2/";

impl Item {
    /// The item with labels, on one line. They replace earlier labels of this program. Subjects of other creators are kept, and
    /// so are all places, since places have no creator.
    ///
    /// Labels that abstain are left out, except for countries that the article names in passing (`rel` is `mentions`) or in its
    /// dateline.
    pub fn labelled(&self, answer: &Classification) -> String {
        let (subjects, places) = self.list_names();
        let creator = format!("{CREATOR}{}", answer.model_version);
        let topics = answer.topics.iter().chain(&answer.subtopics).filter(|label| label.decision != Decision::Abstain);
        let topics: Vec<Value> = topics.map(|label| subject(self.version, label, &creator)).collect();
        // If the text is not an article, or in an unknown language, the model cannot name regions either.
        let is_classified = !answer.notes.iter().any(|note| note.starts_with("ABSTAIN:"));
        let countries: Vec<Value> = answer
            .regions
            .iter()
            .filter(|_| is_classified)
            .filter(|region| region.role != Role::About || region.label.decision != Decision::Abstain)
            .map(|region| place(self.version, &region.label, region.role))
            .collect();
        let lists = [(subjects, self.merged(subjects, topics)), (places, self.merged(places, countries))];
        // An empty list is written only if the item has one.
        let has_list = |name: &str| self.find(name).is_some_and(|raw| raw.get() != "null");
        let lists = lists
            .into_iter()
            .filter_map(|(name, values)| Some((name, values?)))
            .filter(|(name, values)| !values.is_empty() || has_list(name))
            .map(|(name, values)| (name, format!("[{}]", values.join(","))));
        self.object.written_with(lists.collect())
    }

    /// A list without earlier labels of this program, and with those new labels that it lacks at its end. `null` counts as an
    /// empty list, and one object as a list of one; `None` for any other value, which is unchanged.
    fn merged(&self, list: &str, labels: Vec<Value>) -> Option<Vec<String>> {
        let raw: Vec<Box<RawValue>> = match self.find(list) {
            Some(raw) if raw.get().starts_with('{') => vec![raw.to_owned()],
            Some(raw) => serde_json::from_str::<Option<_>>(raw.get()).ok()?.unwrap_or_default(),
            None => Vec::new(),
        };
        let concept = |raw: &RawValue| serde_json::from_str::<Concept>(raw.get()).unwrap_or_default();
        let others: Vec<&RawValue> = raw.iter().map(|raw| &**raw).filter(|raw| !concept(raw).is_own()).collect();
        let known: Vec<String> = others.iter().map(|raw| concept(raw).identity()).collect();
        let new = labels.iter().filter(|label| !known.contains(&identity(label))).map(Value::to_string);
        Some(others.iter().map(|raw| on_one_line(raw.get())).chain(new).collect())
    }
}

/// A topic as a subject. Confidence is in percent.
fn subject(version: Version, label: &Label, creator: &str) -> Value {
    let code = label.code.strip_prefix(MEDIA_TOPIC);
    let mut fields = concept(version, label, code.map(|code| (MEDIA_TOPICS, code)), "about");
    if version.has_confidence() {
        fields["creator"] = creator.into();
        fields["confidence"] = ((f64::from(label.confidence) * 100.0).round() as u64).min(100).into();
    }
    fields
}

/// A region as a place, which has no confidence in ninjs.
fn place(version: Version, label: &Label, role: Role) -> Value {
    let rel = match role {
        Role::About => "about",
        Role::Mentioned => "mentions",
        Role::Dateline => "dateline",
    };
    // Other regions have codes of UN M49, or EU.
    concept(version, label, geography::is_country(&label.code).then_some((COUNTRIES, &*label.code)), rel)
}

/// A concept by the scheme and code of a vocabulary, if it is in one, otherwise by its own code.
fn concept(version: Version, label: &Label, known: Option<(&str, &str)>, rel: &str) -> Value {
    let mut fields = json!({ "name": &*label.name, "rel": rel });
    match (version, known) {
        (Version::One { .. }, Some((scheme, code))) => {
            fields["scheme"] = scheme.into();
            fields["code"] = code.into();
        }
        (Version::One { .. }, None) => fields["code"] = (*label.code).into(),
        (_, Some((scheme, code))) => fields["uri"] = format!("{scheme}{code}").into(),
        (_, None) => fields["literal"] = (*label.code).into(),
    }
    fields
}

fn identity(label: &Value) -> String {
    serde_json::from_value::<Concept>(label.clone()).unwrap_or_default().identity()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::Region,
        formats::{
            Place,
            ninjs::tests::{ONE, SUPERDESK, THREE, TWO, read},
        },
        model::Model,
    };

    fn answer() -> Classification {
        let model = Model::bundled().expect("it opens");
        let mut answer =
            model.classify(&read(TWO).record(Place::default()).article, &Default::default()).expect("an article");
        answer.topics.truncate(1);
        let label = |code: &str, name: &str, confidence: f32, decision| Label {
            code: code.into(),
            name: name.into(),
            confidence,
            decision,
            ..Label::default()
        };
        answer.subtopics = vec![
            label("medtop:20000574", "election", 0.8, Decision::Review),
            label("medtop:20000610", "government policy", 0.2, Decision::Abstain),
        ];
        answer.topics = vec![
            label("medtop:11000000", "politics", 0.876, Decision::Auto),
            label("own-7", "seaside", 1.0, Decision::Review),
            label("medtop:15000000", "sport", 0.2, Decision::Abstain),
        ];
        let region = |code: &str, name: &str, role, decision| Region {
            label: label(code, name, 0.9, decision),
            role,
            path: Vec::new(),
            contributions: Vec::new(),
        };
        answer.regions = vec![
            region("KE", "Kenya", Role::About, Decision::Auto),
            region("UG", "Uganda", Role::Mentioned, Decision::Abstain),
            region("FR", "France", Role::About, Decision::Abstain),
            region("EU", "European Union", Role::About, Decision::Review),
        ];
        answer
    }

    fn labelled(text: &str) -> Value {
        serde_json::from_str(&read(text).labelled(&answer())).expect("JSON")
    }

    #[test]
    fn labels_are_written_as_the_version_has_them() {
        let answer = answer();
        let creator = format!("dateline/{}", answer.model_version);
        let one = labelled(ONE);
        let mediatopic = "http://cv.iptc.org/newscodes/mediatopic/";
        assert_eq!(
            one["subject"],
            json!([
                { "name": "budget", "scheme": "http://wire.example/topics/", "code": "b1", "rel": "about" },
                { "name": "politics", "rel": "about", "scheme": mediatopic, "code": "11000000", "creator": creator, "confidence": 88 },
                { "name": "seaside", "rel": "about", "code": "own-7", "creator": creator, "confidence": 100 },
                { "name": "election", "rel": "about", "scheme": mediatopic, "code": "20000574", "creator": creator, "confidence": 80 },
            ])
        );
        assert_eq!(one["place"][0]["scheme"], "http://cvx.iptc.org/iso3166-1a2/");
        let two = labelled(TWO);
        assert_eq!(two["places"].as_array().map(Vec::len), Some(3), "Kenya is not repeated: {two}");
        assert_eq!(two["places"][2]["literal"], "EU", "not a country");
        assert_eq!((&two["places"][0]["x"], &two["places"][1]["rel"]), (&1.into(), &"mentions".into()));
        let three = labelled(THREE);
        let uris: Vec<_> =
            three["subjects"].as_array().expect("a list").iter().map(|one| one["uri"].as_str()).collect();
        let politics = format!("{mediatopic}11000000");
        let election = format!("{mediatopic}20000574");
        assert_eq!(uris, [Some(&*politics), None, Some(&*election)], "earlier labels are replaced");
        let again = read(&read(THREE).labelled(&answer)).labelled(&answer);
        assert_eq!(again, read(THREE).labelled(&answer));
        // Before 1.5 and 2.1, labels have no confidence.
        let older = labelled(&ONE.replace("1.5", "1.4"));
        assert!(older["subject"][1].get("confidence").is_none() && older["subject"][1].get("creator").is_none());
    }

    #[test]
    fn unused_fields_are_unchanged() {
        for text in [ONE, TWO, THREE] {
            let item = read(text);
            let (subjects, places) = item.list_names();
            for out in [item.labelled(&answer()), item.unlabelled()] {
                assert!(!out.contains('\n'));
                let back = read(&out);
                for name in item.object.names().filter(|name| *name != subjects && *name != places) {
                    let value = item.find(name).map(|value| on_one_line(value.get()));
                    assert_eq!(back.find(name).map(|value| value.get().to_owned()), value, "{name}");
                }
            }
        }
        assert!(read(ONE).unlabelled().contains("\"x_price\":1.10,\"x_big\":12345678901234567890123"), "to the digit");
        let odd = r#"{"uri":"a:b","headlines":[],"subjects":"none"}"#;
        assert!(read(odd).labelled(&answer()).contains("\"subjects\":\"none\""));
    }

    #[test]
    fn labels_of_others_are_kept() {
        let superdesk = labelled(SUPERDESK);
        assert_eq!(superdesk["subject"][0]["scheme"], "mediatopic");
        assert!(superdesk["place"].as_array().is_some_and(|places| !places.is_empty()), "null is an empty list");
        let one_object = labelled(r#"{"uri":"a:b","headlines":[],"subjects":{"name":"x","literal":"x"}}"#);
        let subjects = one_object["subjects"].as_array().expect("a list");
        assert_eq!((subjects[0]["name"].as_str(), subjects.len() > 1), (Some("x"), true));
    }
}
