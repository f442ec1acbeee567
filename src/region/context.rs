//! What each place name means by the words beside it: "Moscow, Idaho" is in Idaho, and neither "Michael Jordan" nor "New London" is
//! what stands in the table.

use super::{
    beside::Beside,
    gazetteer::{Kind, Meaning},
    mentions::{Mention, Named},
    persons::Persons,
    reading::{CERTAIN, Doubt, Reading},
    towns::TownName,
};
use crate::{article::Field, document::Document, text::Word};
use std::{borrow::Cow, collections::BTreeSet};

/// Reads the names of a document by the words beside them. `named` says of each word whether it is part of one.
pub fn readings(document: &Document<'_>, words: &[Word], names: Vec<Named>, named: &[bool]) -> Vec<Reading> {
    let beside = Beside { document, words, named };
    let told = told(&beside, &names);
    let in_dateline = Dateline::of(&names);
    let mut persons = Persons::new(&beside);
    let mut readings: Vec<Reading> = Vec::with_capacity(names.len());
    for (Named { mention, mut meanings }, told) in names.into_iter().zip(told) {
        if let Some(told) = told {
            let meanings = Cow::Owned(vec![told]);
            readings.push(Reading { mention, meanings, cues: Vec::new(), told: true, doubt: Doubt::None });
            continue;
        }
        let is_part = |one: &Meaning| one.kind == Kind::Part;
        let lesser = |one: &Meaning| one.share < LEAST_SHARE_OF_PART || beside.is_abbreviated(&mention);
        if beside.is_another_place(&mention) || meanings.iter().all(|one| is_part(one) && lesser(one)) {
            meanings = Cow::Borrowed(&[]);
        } else {
            persons.look_at(&mention, &meanings);
            in_dateline.read(&mention, &mut meanings);
        }
        let doubt = beside.doubt(&mention, &meanings);
        readings.push(Reading { mention, meanings, cues: Vec::new(), told: false, doubt });
    }
    persons.leave_out(&mut readings);
    // A name that once stands for a place beyond doubt does so all along.
    let sure: BTreeSet<u32> =
        readings.iter().filter(|one| one.doubt == Doubt::None).map(|one| one.mention.name).collect();
    for reading in &mut readings {
        if matches!(reading.doubt, Doubt::Noun | Doubt::Attribute(_)) && sure.contains(&reading.mention.name) {
            reading.doubt = Doubt::None;
        }
        reading.cues = beside.cues(reading);
    }
    readings
}

/// A subdivision that shares its name with other places of more weight means nothing where no town of it stands before it, and
/// nor does a postal abbreviation.
const LEAST_SHARE_OF_PART: f32 = 0.02;

/// The names of a dateline: the first is a town's, and often a capital's.
struct Dateline {
    first: Option<u32>,
}

impl Dateline {
    fn of(names: &[Named]) -> Self {
        Dateline {
            first: names.iter().find(|name| name.mention.role == Field::Dateline).map(|name| name.mention.first),
        }
    }

    /// Leaves the towns, if a name is one and stands first; capitals weigh more, for agencies name the state or country of
    /// other towns beside them.
    fn read(&self, mention: &Mention, meanings: &mut Cow<'static, [Meaning]>) {
        let a_place = |one: &Meaning| one.kind.is_town() && (one.kind.is_capital() || one.share >= LEAST_SHARE_OF_TOWN);
        if self.first != Some(mention.first) || !meanings.iter().any(a_place) {
            return;
        }
        let meanings = meanings.to_mut();
        let all: f32 = meanings.iter().filter(|one| one.kind != Kind::Namesake).map(|one| one.share).sum();
        meanings.retain(|one| one.kind.is_town());
        for capital in meanings.iter_mut().filter(|one| one.kind.is_capital()) {
            let least =
                if capital.kind == Kind::LesserCapital { LESSER_CAPITAL_OF_DATELINE } else { CAPITAL_OF_DATELINE };
            capital.share = capital.share.max(least);
        }
        let place = |one: &&Meaning| one.kind != Kind::Namesake;
        let sum: f32 = meanings.iter().filter(place).map(|one| one.share).sum();
        let sum = if sum > 0.0 { sum } else { 1.0 };
        let all = all.min(1.0);
        meanings.iter_mut().filter(|one| one.kind != Kind::Namesake).for_each(|one| one.share *= all / sum);
        meanings.sort_by(|a, b| b.share.total_cmp(&a.share));
    }
}

/// Towns of a lesser share are not what a dateline names.
const LEAST_SHARE_OF_TOWN: f32 = 0.1;
/// A capital that a dateline names has at least this share, before shares are made to sum to what they did.
const CAPITAL_OF_DATELINE: f32 = 0.8;
/// The same for a capital whose name more often means something else.
const LESSER_CAPITAL_OF_DATELINE: f32 = 0.4;

/// What the names mean that the name behind them, or before them, tells: both "Athens" and "Georgia" of "Athens, Georgia".
fn told(beside: &Beside<'_>, names: &[Named]) -> Vec<Option<Meaning>> {
    let mut told: Vec<Option<Meaning>> = vec![None; names.len()];
    for (i, pair) in names.windows(2).enumerate() {
        let [place, holder] = pair else { continue };
        if !beside.lies_in(&place.mention, &holder.mention) {
            continue;
        }
        let is_dateline = place.mention.role == Field::Dateline;
        let (name, holder_name) = (beside.town_name(&place.mention), beside.town_name(&holder.mention));
        if let Some(of_holder) = within(&place.meanings, &name, &holder.meanings, &holder_name, is_dateline) {
            told[i].get_or_insert(Meaning { code: of_holder.code, kind: Kind::City, share: 1.0 });
            told[i + 1] = Some(Meaning { share: 1.0, ..of_holder });
        }
    }
    told
}

/// What a place lies in that is named behind it: "Moscow, Idaho", "Paris, France". Lists of places look the same, so that
/// there must be such a town; in datelines, which have no lists of this kind, a name that holds nothing else is enough.
fn within(
    place: &[Meaning],
    name: &TownName,
    holder: &[Meaning],
    holder_name: &TownName,
    is_dateline: bool,
) -> Option<Meaning> {
    let a_town = place.iter().any(|one| one.kind.is_town());
    let may_be_one = place
        .iter()
        .any(|one| matches!(one.kind, Kind::Country | Kind::State | Kind::Part | Kind::LesserCapital | Kind::Seat));
    if !a_town && !may_be_one {
        return None;
    }
    let sure = |one: &Meaning| one.share >= CERTAIN && matches!(one.kind, Kind::State | Kind::Abbreviation);
    let holds = |one: &&Meaning| match one.kind {
        Kind::Country | Kind::Nation => {
            name.is_in(one.code) || place.iter().any(|town| town.code == one.code && town.kind.is_town())
        }
        Kind::State | Kind::Part | Kind::Abbreviation => match holder_name.holds(one.code, name) {
            Some(holds) => holds,
            None => (a_town && sure(one)) || name.is_in(one.code),
        },
        // "Mexico, New York": a state that has the name of its city.
        Kind::Capital | Kind::City => holder_name.holds(one.code, name) == Some(true),
        _ => false,
    };
    // "Perth, WA" is in Australia, "Walla Walla, WA" is not.
    let people = |code: &str| name.towns().find(|town| town.country == code).map_or(0.0, |town| town.share);
    let larger = |best: Meaning, one: Meaning| if people(one.code) > people(best.code) { one } else { best };
    if let Some(found) = holder.iter().filter(holds).copied().reduce(larger) {
        return Some(found);
    }
    let one_place = || holder.first().filter(|one| one.share >= CERTAIN).copied();
    let may_hold = |one: &Meaning| {
        matches!(one.kind, Kind::Country | Kind::Nation | Kind::State | Kind::Part | Kind::Abbreviation)
    };
    is_dateline.then(one_place).flatten().filter(may_hold)
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

    /// The likeliest country of each name, or `-`, with its share in hundredths.
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
    fn a_town_lies_in_what_is_named_behind_it() {
        assert_eq!(read("police in Moscow, Idaho, said", None)[0], ("US", 100));
        assert_eq!(codes("a fire in Lebanon, N.H., was out")[0], "US");
        assert_eq!(codes("in Birmingham, England, and")[0], "GB");
        assert_eq!(codes("in Birmingham, Ala., and")[0], "US");
        // Lists are not read so.
        assert_eq!(codes("between Cairo, Syria and Lebanon"), ["EG", "SY", "LB"]);
        assert_eq!(codes("between Moscow, Washington and Kiev")[0], "RU");
    }

    #[test]
    fn people_are_no_places() {
        assert_eq!(codes("a clinic that Michael Jordan opened. Later Jordan left."), ["-", "-"]);
        assert_eq!(codes("Michael Jordan opened a clinic"), ["-"]);
        assert!(read("the drummer Chad Gillory won; Chad wept", None).iter().all(|(_, share)| *share < 30));
        assert_eq!(read("In Jordan the rain stopped. West Jordan is dry.", None)[0].0, "JO");
        // A river has a name like a person's, and a people beside it.
        assert_eq!(read("the Jordan River in Jordan, where Jordanians swim", None)[1], ("JO", 85));
    }

    #[test]
    fn provinces_counties_and_abbreviations_tell_where_a_town_is() {
        assert_eq!(codes("traders in Valencia, Bukidnon, asked")[0], "PH");
        assert_eq!(codes("a fire in Valencia, Venezuela, was out")[0], "VE");
        assert_eq!(codes("the mayor of Valencia City, Bukidnon, said")[0], "PH");
        assert_eq!(codes("a judge in Hamilton, Ont., said")[0], "CA");
        assert_eq!(codes("a mine near Perth, WA, shut")[0], "AU");
        assert_eq!(codes("a mill in Spokane, WA, shut")[0], "US");
        assert_eq!(codes("a pier in Bangor, Co Down, fell")[0], "GB");
        // Postal abbreviations mean nothing elsewhere.
        assert_eq!(codes("IN Nairobi, ON Monday, OR later"), ["KE", "-"]);
    }

    /// The share of the first name's likeliest meaning.
    fn first_share(body: &str) -> u32 {
        read(body, None)[0].1
    }

    #[test]
    fn given_names_are_told_by_what_stands_beside_them() {
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
        // Another name of the country speaks for it.
        assert!(first_share("Israel Zorb, a firm in Haifa and Tel Aviv, sold Israeli shares") > 15);
    }

    #[test]
    fn goods_and_attributes_are_not_what_an_article_is_about() {
        assert!(first_share("Turkey farmers near Lagos fear the flu") < 20);
        assert!(first_share("Last night Turkey lost again") > 90);
        assert!(first_share("A Swiss-built ferry sank off Lagos") < 20);
        assert!(first_share("A Swiss restaurant in Lagos shut") < 20);
        assert!(first_share("The Swiss restaurant shut") > 90, "nothing else says where");
        assert!(first_share("The Swiss, in Lagos, said that they would go") > 90);
    }

    #[test]
    fn towns_of_one_name_are_told_by_the_rest() {
        // Without a text model, which would say more.
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
