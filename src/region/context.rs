//! Disambiguates each place name by its neighbouring words: "Moscow, Idaho" is in Idaho, "Michael Jordan" is a person, and "New
//! London" is not London.

use super::{
    gazetteer::{Meaning, NameKind},
    mentions::{Mention, Named},
    neighbours::Neighbours,
    persons::Persons,
    reading::{CERTAIN, Doubt, Reading},
    towns::TownName,
};
use crate::{article::Field, document::Document, text::Word};
use std::{borrow::Cow, collections::BTreeSet};

/// Reads the names of a document in the context of their neighbouring words. `named` holds, for each word, whether it is
/// part of a name.
pub fn readings(document: &Document<'_>, words: &[Word], names: Vec<Named>, named: &[bool]) -> Vec<Reading> {
    let neighbours = Neighbours { document, words, named };
    let resolved = resolve_by_container(&neighbours, &names);
    let dateline = Dateline::of(&names);
    let mut persons = Persons::new(&neighbours);
    let mut readings: Vec<Reading> = Vec::with_capacity(names.len());
    for (Named { mention, mut meanings }, resolved) in names.into_iter().zip(resolved) {
        if let Some(resolved) = resolved {
            let meanings = Cow::Owned(vec![resolved]);
            readings.push(Reading { mention, meanings, cues: Vec::new(), resolved: true, doubt: Doubt::None });
            continue;
        }
        let is_part = |one: &Meaning| one.kind == NameKind::Part;
        let is_negligible = |one: &Meaning| one.share < LEAST_SHARE_OF_PART || neighbours.is_abbreviated(&mention);
        if neighbours.follows_new(&mention) || meanings.iter().all(|one| is_part(one) && is_negligible(one)) {
            meanings = Cow::Borrowed(&[]);
        } else {
            persons.observe(&mention, &meanings);
            dateline.keep_towns(&mention, &mut meanings);
        }
        let doubt = neighbours.doubt(&mention, &meanings);
        readings.push(Reading { mention, meanings, cues: Vec::new(), resolved: false, doubt });
    }
    persons.apply(&mut readings);
    // A name that means a place without doubt once does so throughout the document.
    let sure: BTreeSet<u32> =
        readings.iter().filter(|one| one.doubt == Doubt::None).map(|one| one.mention.name).collect();
    for reading in &mut readings {
        if matches!(reading.doubt, Doubt::Noun | Doubt::Attribute(_)) && sure.contains(&reading.mention.name) {
            reading.doubt = Doubt::None;
        }
        reading.cues = neighbours.cues(reading);
    }
    readings
}

/// The least share of a subdivision that counts without a town of it before it. Postal abbreviations never do.
const LEAST_SHARE_OF_PART: f32 = 0.02;

/// The first name of the dateline: usually a town, and often a capital.
struct Dateline {
    /// The first word of the name, as an index.
    first: Option<u32>,
}

impl Dateline {
    fn of(names: &[Named]) -> Self {
        Dateline {
            first: names.iter().find(|name| name.mention.role == Field::Dateline).map(|name| name.mention.first),
        }
    }

    /// Keeps only the towns among the meanings of the first name, if it may be a town. Capitals get a higher share: for other
    /// towns, news agencies add the state or country.
    fn keep_towns(&self, mention: &Mention, meanings: &mut Cow<'static, [Meaning]>) {
        let is_likely_town =
            |one: &Meaning| one.kind.is_town() && (one.kind.is_capital() || one.share >= LEAST_SHARE_OF_TOWN);
        if self.first != Some(mention.first) || !meanings.iter().any(is_likely_town) {
            return;
        }
        let meanings = meanings.to_mut();
        let all: f32 = meanings.iter().filter(|one| one.kind != NameKind::Namesake).map(|one| one.share).sum();
        meanings.retain(|one| one.kind.is_town());
        for capital in meanings.iter_mut().filter(|one| one.kind.is_capital()) {
            let least =
                if capital.kind == NameKind::LesserCapital { LESSER_CAPITAL_OF_DATELINE } else { CAPITAL_OF_DATELINE };
            capital.share = capital.share.max(least);
        }
        let sum: f32 = meanings.iter().filter(|one| one.kind != NameKind::Namesake).map(|one| one.share).sum();
        let sum = if sum > 0.0 { sum } else { 1.0 };
        let all = all.min(1.0);
        meanings.iter_mut().filter(|one| one.kind != NameKind::Namesake).for_each(|one| one.share *= all / sum);
        meanings.sort_by(|a, b| b.share.total_cmp(&a.share));
    }
}

/// The least share of a town that a dateline may name; capitals need none.
const LEAST_SHARE_OF_TOWN: f32 = 0.1;
/// The least share of a capital in a dateline, before the shares are normalised to their former sum.
const CAPITAL_OF_DATELINE: f32 = 0.8;
/// The same for a capital whose name more often means something else.
const LESSER_CAPITAL_OF_DATELINE: f32 = 0.4;

/// The meanings of names that are resolved by the name after or before them: both "Athens" and "Georgia" in "Athens, Georgia".
fn resolve_by_container(neighbours: &Neighbours<'_>, names: &[Named]) -> Vec<Option<Meaning>> {
    let mut resolved: Vec<Option<Meaning>> = vec![None; names.len()];
    for (i, pair) in names.windows(2).enumerate() {
        let [place, container] = pair else { continue };
        if !neighbours.may_lie_in(&place.mention, &container.mention) {
            continue;
        }
        let is_dateline = place.mention.role == Field::Dateline;
        let (name, container_name) = (neighbours.town_name(&place.mention), neighbours.town_name(&container.mention));
        let found = find_container(&place.meanings, &name, &container.meanings, &container_name, is_dateline);
        if let Some(meaning) = found {
            resolved[i].get_or_insert(Meaning { code: meaning.code, kind: NameKind::City, share: 1.0 });
            resolved[i + 1] = Some(Meaning { share: 1.0, ..meaning });
        }
    }
    resolved
}

/// The meaning of `container`, the name after a place, that the place lies in: "Moscow, Idaho", "Paris, France".
///
/// Lists of places look the same, so a town of this name must be known there. Datelines do not contain such lists: there, an
/// unambiguous country or subdivision is enough.
fn find_container(
    place: &[Meaning],
    name: &TownName,
    container: &[Meaning],
    container_name: &TownName,
    is_dateline: bool,
) -> Option<Meaning> {
    let is_town = place.iter().any(|one| one.kind.is_town());
    let may_be_town = place.iter().any(|one| {
        matches!(
            one.kind,
            NameKind::Country | NameKind::State | NameKind::Part | NameKind::LesserCapital | NameKind::Seat
        )
    });
    if !is_town && !may_be_town {
        return None;
    }
    let is_sure = |one: &Meaning| one.share >= CERTAIN && matches!(one.kind, NameKind::State | NameKind::Abbreviation);
    let contains_place = |one: &&Meaning| match one.kind {
        NameKind::Country | NameKind::Nation => {
            name.is_in(one.code) || place.iter().any(|town| town.code == one.code && town.kind.is_town())
        }
        NameKind::State | NameKind::Part | NameKind::Abbreviation => match container_name.contains(one.code, name) {
            Some(contains) => contains,
            None => (is_town && is_sure(one)) || name.is_in(one.code),
        },
        // "Mexico, New York": a state named like its city.
        NameKind::Capital | NameKind::City => container_name.contains(one.code, name) == Some(true),
        _ => false,
    };
    // "Perth, WA" is in Australia, "Walla Walla, WA" is not.
    let population_share = |code: &str| name.towns().find(|town| town.country == code).map_or(0.0, |town| town.share);
    let larger =
        |best: Meaning, one: Meaning| if population_share(one.code) > population_share(best.code) { one } else { best };
    if let Some(found) = container.iter().filter(contains_place).copied().reduce(larger) {
        return Some(found);
    }
    let certain_meaning = || container.first().filter(|one| one.share >= CERTAIN).copied();
    let may_contain_towns = |one: &Meaning| {
        matches!(
            one.kind,
            NameKind::Country | NameKind::Nation | NameKind::State | NameKind::Part | NameKind::Abbreviation
        )
    };
    is_dateline.then(certain_meaning).flatten().filter(may_contain_towns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        article::Article,
        clean,
        region::{MentionModel, TextModel, gazetteer::gazetteer, mentions, weighing},
        text::words_into,
    };

    /// The likeliest country of each name, or `-`, with its share in percent.
    fn read(body: &str, home: Option<&str>) -> Vec<(&'static str, u32)> {
        let article = Article { body: body.to_owned(), ..Article::default() };
        let document = clean::clean(&article, crate::region::known);
        let mut words = Vec::new();
        words_into(&document, &mut words);
        let names = mentions::find(gazetteer(), &document, &words);
        let named = mentions::named_words(&names, words.len());
        let mut readings = readings(&document, &words, names, &named);
        weighing::weigh(
            &mut readings,
            &TextModel::none().scores(std::iter::empty()),
            words.len(),
            &MentionModel::none(),
            home,
        );
        let likeliest = |reading: &Reading| {
            let best = reading.meanings.iter().max_by(|a, b| a.share.total_cmp(&b.share));
            best.map_or(("-", 0), |one| (one.code, (one.share * 100.0).round() as u32))
        };
        readings.iter().map(likeliest).collect()
    }

    fn codes(body: &str) -> Vec<&'static str> {
        read(body, None).into_iter().map(|(code, _)| code).collect()
    }

    #[test]
    fn the_name_after_a_town_resolves_it() {
        assert_eq!(read("police in Moscow, Idaho, said", None)[0], ("US", 100));
        assert_eq!(codes("a fire in Lebanon, N.H., was out")[0], "US");
        assert_eq!(codes("in Birmingham, England, and")[0], "GB");
        assert_eq!(codes("in Birmingham, Ala., and")[0], "US");
        // Lists of places are not resolved this way.
        assert_eq!(codes("between Cairo, Syria and Lebanon"), ["EG", "SY", "LB"]);
        assert_eq!(codes("between Moscow, Washington and Kiev")[0], "RU");
    }

    #[test]
    fn names_of_people_are_not_places() {
        assert_eq!(codes("a clinic that Michael Jordan opened. Later Jordan left."), ["-", "-"]);
        assert_eq!(codes("Michael Jordan opened a clinic"), ["-"]);
        assert!(read("the drummer Chad Gillory won; Chad wept", None).iter().all(|(_, share)| *share < 30));
        assert_eq!(read("In Jordan the rain stopped. West Jordan is dry.", None)[0].0, "JO");
        // The name of a river looks like a person's, and a people of the country is named too.
        assert_eq!(read("the Jordan River in Jordan, where Jordanians swim", None)[1], ("JO", 85));
    }

    #[test]
    fn provinces_counties_and_abbreviations_resolve_towns() {
        assert_eq!(codes("traders in Valencia, Bukidnon, asked")[0], "PH");
        assert_eq!(codes("a fire in Valencia, Venezuela, was out")[0], "VE");
        assert_eq!(codes("the mayor of Valencia City, Bukidnon, said")[0], "PH");
        assert_eq!(codes("a judge in Hamilton, Ont., said")[0], "CA");
        assert_eq!(codes("a mine near Perth, WA, shut")[0], "AU");
        assert_eq!(codes("a mill in Spokane, WA, shut")[0], "US");
        assert_eq!(codes("a pier in Bangor, Co Down, fell")[0], "GB");
        // Postal abbreviations count only after a town.
        assert_eq!(codes("IN Nairobi, ON Monday, OR later"), ["KE", "-"]);
    }

    /// The share of the first name's likeliest meaning.
    fn first_share(body: &str) -> u32 {
        read(body, None)[0].1
    }

    #[test]
    fn given_names_are_recognised_by_their_neighbours() {
        for body in [
            "Israel Mendes, 34, was fined",
            "Israel Mendes Ojo, now 34, was fined",
            "Dr Israel Mendes was fined",
            "Israel Mendes, a baker, was fined",
            "Israel Mendes was fined. Later Israel Mendes wept, and Israel left",
        ] {
            assert!(first_share(body) < 20, "{body}: {}", first_share(body));
        }
        assert!(first_share("Israel sent Greek islands, a port and 34 tents") > 90);
        // Another name of the country supports it.
        assert!(first_share("Israel Zorb, a firm in Haifa and Tel Aviv, sold Israeli shares") > 15);
    }

    #[test]
    fn goods_and_attributes_get_a_low_share() {
        assert!(first_share("Turkey farmers near Lagos fear the flu") < 20);
        assert!(first_share("Last night Turkey lost again") > 90);
        assert!(first_share("A Swiss-built ferry sank off Lagos") < 20);
        assert!(first_share("A Swiss restaurant in Lagos shut") < 20);
        assert!(first_share("The Swiss restaurant shut") > 90, "no other country is named");
        assert!(first_share("The Swiss, in Lagos, said that they would go") > 90);
    }

    #[test]
    fn ambiguous_towns_are_resolved_by_the_rest_of_the_article() {
        // Without a text model, which would add evidence.
        let (code, share) =
            read("London asked Ontario for help; London and Toronto lose, says Ontario, says Quebec", None)[0];
        assert!(code == "CA" || share < 70, "{code} {share}");
        let (code, share) = read("London asked the Treasury for help", None)[0];
        assert!(code == "GB" && share > 90, "{code} {share}");
        let of_britain = |home| read("buses in Cambridge stopped", home)[0];
        let ((code, share), at_home) = (of_britain(None), of_britain(Some("NZ")));
        assert!(code == "GB" && (at_home.0 == "NZ" || at_home.1 + 10 < share), "{code} {share} {at_home:?}");
        assert_eq!(codes("the councils of New London and New Nairobi met"), ["US", "-"]);
    }
}
