//! Recognises notices about cookies, consent and privacy, and pages that are not articles.
//!
//! A notice is recognised by its structure rather than by fixed wordings: a site addresses its reader about the use of
//! data. Site, reader, act and data each have a pattern; see [`is_about_data`] for the combinations that make a line a
//! notice. Lines that report news or contain a long quotation are not notices.

use super::rules::{rule, words};
use regex::Regex;
use std::{collections::HashSet, sync::LazyLock};

/// The subject of notices: data, cookies, consent, terms.
static DATA: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"cookies?(?:\s\w+)? | consent(?:s|ing)? | gdpr | ccpa | cpra | lgpd | privacy
        | personal(?:ly)?\s(?:data|information|identifiable) | personali[sz]ed?\s(?:ads?|content|advertis\w+) | opt(?:ing)?[-\s]?(?:in|out)
        | third[-\s]part(?:y|ies) | vendors? | advertisers | legitimate\sinterests? | data\scontroller | process\syour\sdata
        | (?:user|terms|conditions)\s?(?:agreement|of\s(?:use|service|sale)) | unsubscribe | newsletters?
        | (?:tracking|similar)\stechnolog\w+ | (?:unique\s)?identifiers | browsing\s(?:data|experience) | targeted\sadvertis\w+ | recaptcha
        | (?:information\son|access\sinformation\son)\s(?:a|your)\sdevice
        | (?:sale|sell|share|sharing)\s(?:\w+\s){0,3}(?:personal|your)\s(?:\w+\s)?(?:data|information)",
    )
});
/// References to the site.
static SITE: LazyLock<Regex> = LazyLock::new(|| {
    words(r"we | our | us | ourselves | (?:this|the|our|these)\s(?:web\s?)?(?:sites?|pages?|services?|app|portal)")
});
/// Forms of address to the reader.
static READER: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"you | your | yours | yourself | i\s(?:agree|accept|consent|understand|would\slike|have\sread|hereby)
        | ^(?:accept|reject|manage|click|read|see|learn|please|enter|sign|do\snot\ssell)",
    )
});
/// Acts of the site or of its reader on data.
static ACT: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"uses? | using | stores? | access | process(?:es|ing)? | collects? | shar(?:e|ing) | plac(?:e|es|ing) | sets? | agree(?:ing)?
        | accept(?:ing)? | consent(?:ing)? | acknowledg\w+ | manage | withdraw | (?:change|update)\syour | opt | unsubscribe | subscribe
        | sign\sup | click(?:ing)? | continu(?:e|ing) | protect(?:ed)? | rights? | reserved | entitled | may | measure | remember
        | exercise | request | object",
    )
});
/// Verbs of news reports: speech, and acts of courts and parliaments.
static NEWS: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"said | says | told | according\sto | announced | reported | warned | argued | ruled | fined | sued | voted | passed | signed\sinto
        | accused | wrote | writes | asked | added | replied | testified | alleged | showed",
    )
});
/// Notices without form of address: the purpose of cookies, and the implications of using a site.
static IMPERSONAL: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"^(?:this|these|the\s\w+|necessary|performance|functional|analytics|advertis\w+)\scookies?\s(?:(?:is|are|may\sbe)\s(?:\w+\s)?(?:used|set|needed|necessary|required|essential|placed|stored)|(?:allow|help|enable|collect)s?\s(?:us|the|you|information|data))
        | use\sof\s(?:this|the|our)\s(?:web)?site\s(?:constitutes|assumes|implies|means)
        | protected\sby\srecaptcha",
    )
});

/// Whether a line is a notice about the reader's data.
pub fn is_about_data(line: &str) -> bool {
    // Distinct words by their first seven characters; most lines have none.
    let data: HashSet<String> =
        DATA.find_iter(line).map(|found| found.as_str().chars().take(7).collect::<String>().to_lowercase()).collect();
    if data.is_empty() || NEWS.is_match(line) || has_long_quotation(line) {
        return false;
    }
    let (reader, site) = (READER.is_match(line), SITE.is_match(line));
    let acts: HashSet<String> = ACT.find_iter(line).map(|found| found.as_str().to_lowercase()).collect();
    // "Cookie" alone may be about baking.
    let certain = data.len() >= 2 || !data.iter().all(|word| word.starts_with("cookie"));
    // A line that does not begin with a capital is part of a sentence.
    let short = line.len() < 160 && line.starts_with(char::is_uppercase);
    (reader && site && !acts.is_empty())
        || (reader && acts.len() >= 2 && data.len() >= 2)
        || (reader && !acts.is_empty() && short && certain)
        || (site && data.len() >= 2 && acts.len() >= 2)
        || IMPERSONAL.is_match(line)
}

/// Whether the line has a quotation of more than 25 bytes.
fn has_long_quotation(line: &str) -> bool {
    const LONG_QUOTATION: usize = 25;
    line.split(['"', '“', '”']).skip(1).step_by(2).any(|quoted| quoted.len() > LONG_QUOTATION)
}

/// Maximum length of a non-article page in bytes.
const MAX_PAGE_BYTES: usize = 1000;
/// Minimum share of the words of a non-article page that are in sentences typical of such pages.
const PAGE_SENTENCE_SHARE: f64 = 0.5;
/// Maximum number of words of a greeting or placeholder.
const MAX_GREETING_WORDS: usize = 12;

/// An HTTP status with its reason phrase at the beginning of a page.
static STATUS_LINE: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"^\W*(?:http\s|error\s)?[45][0-9][0-9](?:\W+error)?\W+(?:ray\sid|not\sfound|forbidden|unauthori[sz]ed|bad\srequest|bad\sgateway|gone|service\s(?:temporarily\s)?unavailable|internal\sserver\serror|gateway\stime-?out|too\smany\srequests|access\sdenied|method\snot\sallowed|page\snot\sfound)",
    )
});
/// Phrases of error pages, block pages, login walls and placeholder pages.
static SERVER_PAGE: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"^\W*(?:error\s)?[45][0-9][0-9](?:\W+error)?$
        | ^(?:forbidden|unauthori[sz]ed|bad\sgateway|internal\sserver\serror|service\s(?:temporarily\s)?unavailable|gateway\stime-?out|too\smany\srequests|not\sacceptable)$
        | (?:page|url|story|article|content|resource|file|document)\s(?:\w+\s){0,4}(?:not\s(?:be\s)?found|no\slonger\s(?:exists?|available)|does\snot\sexist|has\s(?:been\s)?(?:moved|removed|expired|deleted)|is\s(?:not|un)\s?available|may\shave\smoved)
        | not\sfound\son\sthis\sserver | requested\surl | you\sare\slooking\sfor
        | ray\sid | reference\s\#\s?[\w.]+ | incident\sid | request\sid | error\scode\s?:?\s?\d+ | errors\.edgesuite | your\sip\s?: | apache/[\d.]+ | nginx/?[\d.]*
        | (?:do|does|did)\s?(?:n't|\snot)\shave\s(?:access|permission) | permission\sto\saccess | access\s(?:to\sthis\s\w+\s)?(?:is\s|has\sbeen\s)?(?:denied|forbidden|blocked|restricted)(?:$|\sfrom\syour)
        | (?:checking|verifying)\s(?:your\sbrowser|if\s|that\s|you\sare) | (?:verify|confirm|make\ssure|prove)\s(?:that\s)?you\s?(?:'re|\sare)\s(?:a\s|not\s)?(?:human|a\srobot|a\sbot)
        | not\sa\srobot | press\s(?:&|and)\shold | pardon\sour\sinterruption | ^just\sa\smoment | characters\syou\ssee
        | (?:enable|turn\son|activate|requires?|disabled)\s(?:javascript|js|cookies) | javascript\s(?:is|must\sbe|to\srun)\b | (?:out\sof\sdate|unsupported|outdated)\sbrowser | (?:update\s)?your\sbrowser\s(?:is|does|made|to)
        | (?:not\s)?(?:un)?available\sin\syour\s(?:country|region|location) | from\s(?:your|a)\scountry\sbelonging | access\scannot\sbe\sgranted
        | forgot(?:ten)?\s(?:your\s)?password | do\s?(?:n't|\snot)\shave\san\saccount | (?:subscribe|log\sin|sign\sin|register)\sto\s(?:continue|keep|read|view) | already\sa\s(?:subscriber|member) | free\sarticles
        | (?:domain|site)\s(?:\w+\s){0,3}(?:for\ssale|parked|expired|suspended) | buy\sthis\sdomain | (?:is|has)\s(?:been\s)?parked | account\s(?:has\sbeen\s)?suspended
        | ^it\sworks!?$ | default\swelcome\spage | welcome\sto\s(?:nginx|wordpress) | your\sfirst\spost | style\sinformation\sassociated | establishing\sa\sdatabase\sconnection | lorem\sipsum
        | ^(?:(?:this|our|the)\s(?:web\s?)?(?:site|page)\s(?:is\s)?(?:currently\s)?)?(?:under\s(?:construction|maintenance)|coming\ssoon|down\sfor\smaintenance)\W*$
        | (?:session|link)\shas\sexpired | sign\sin\sagain | this\sprocess\sis\sautomatic | (?:we|site|server)\b.{0,40}\bmaintenance | sorry\sfor\sthe\sinconvenience
        | try\sagain\s(?:later|in\sa) | (?:go\sback|return)\sto\s(?:the\s)?(?:home|front|main)\s?page | be\sback\s(?:soon|shortly)
        | seite\s(?:wurde\s)?nicht\sgefunden | (?:gesuchte|angeforderte)\sseite | p[aá]gina\sno\s(?:encontrada|existe) | page\s(?:est\s)?introuvable | p[aá]gina\sn[aã]o\sencontrada | pagina\snon\strovata | pagina\sniet\sgevonden",
    )
});
/// Reasons to refuse a reader. A sentence of a block page has a reason, a [`REFUSAL`] and an [`ADDRESS`].
static SUSPICION: LazyLock<Regex> = LazyLock::new(|| {
    words(
        r"suspicious | malicious | automated | abus\w+ | attacks? | bots? | crawlers? | spam | firewall | security | unusual\s(?:traffic|activity) | requests",
    )
});
static REFUSAL: LazyLock<Regex> = LazyLock::new(|| {
    words(r"blocked | banned | denied | refused | restricted | detected | limited | disallowed | forbidden")
});
static ADDRESS: LazyLock<Regex> =
    LazyLock::new(|| words(r"you | your | this\s(?:site|website|server|page) | ip | request"));
/// A text that consists only of words of greetings and placeholders.
static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    let vocabulary = r"good | morning | afternoon | evening | day | night | hello | hi | hey | greetings | everyone | everybody | all | there | friends | folks
        | world | team | readers | dear | happy | (?:mon|tues|wednes|thurs|fri|satur|sun)day | weekend | thanks? | you | welcome | to | my | our | the | site
        | page | blog | website | home | how | are | today | tests? | testing | just | a | this | is | post | message | article | title | text | here | goes
        | loading | please | wait | untitled | null | none | undefined | nan | tb[acd] | n/a | placeholder | foo | bar | headline | body | content | no";
    rule(&format!(r"^\W*(?:(?:{vocabulary})\W*)+$"))
});

/// Whether a text (headline and body together) is a page that is not an article: an error or block page, a login wall, a
/// placeholder or a greeting.
pub fn is_non_article_page(text: &str) -> bool {
    if text.len() > MAX_PAGE_BYTES {
        return false;
    }
    let count_words = |text: &str| text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
    let all_words = count_words(text);
    if all_words == 0 || NEWS.is_match(text) {
        return false;
    }
    if all_words <= MAX_GREETING_WORDS && PLACEHOLDER.is_match(text) {
        return true;
    }
    // The phrase covers most of the first line of such a page: at least three fifths.
    let first = text.trim().lines().next().unwrap_or_default().trim();
    let phrase_bytes = SERVER_PAGE.find(first).map_or(0, |found| found.len());
    if STATUS_LINE.is_match(first) || phrase_bytes * 5 >= first.len() * 3 && phrase_bytes > 0 {
        return true;
    }
    let page_words: usize = sentences(text).filter(|sentence| is_page_sentence(sentence)).map(count_words).sum();
    page_words > 0 && page_words as f64 >= PAGE_SENTENCE_SHARE * all_words as f64
}

/// Whether a sentence is typical of non-article pages.
fn is_page_sentence(sentence: &str) -> bool {
    const MAX_BYTES: usize = 160;
    if sentence.len() > MAX_BYTES && !is_about_data(sentence) {
        return false;
    }
    SERVER_PAGE.is_match(sentence)
        || PLACEHOLDER.is_match(sentence)
        || (SUSPICION.is_match(sentence) && REFUSAL.is_match(sentence) && ADDRESS.is_match(sentence))
        || is_about_data(sentence)
}

/// The sentences and lines of a text.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split_inclusive(". ")).map(str::trim).filter(|sentence| !sentence.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_about_data_are_recognised() {
        for line in [
            "We and our 843 partners store and access information on your device, such as cookies in France and Germany.",
            "Your privacy matters. Our vendors in India and Israel process your data on the basis of legitimate interest.",
            "If you are a California resident, you have the right to opt out of the sale of your personal information.",
            "By continuing to browse you accept our use of cookies and similar technologies.",
            "I agree to receive newsletters and understand that I may unsubscribe.",
            "These cookies are needed for the site to work.",
            "Use of this site constitutes acceptance of our User Agreement and Privacy Policy.",
            "Residents of Virginia may exercise their privacy rights with our vendors; you may object at any time.",
        ] {
            assert!(is_about_data(line), "{line}");
        }
        for line in [
            "A regulator fined a firm 150m euros over how hard it made refusing cookies.",
            "California residents will be able to demand deletion of personal data under a law signed on Monday.",
            "\"We use cookies to remember you and your browsing,\" a former engineer told the court.",
            "Girl Scouts sold more cookies than ever.",
            "The bill on consent in rape cases goes to the Senate.",
            "Vendors at the market share the costs of guards.",
            "The president asked our partners in NATO to share more information.",
        ] {
            assert!(!is_about_data(line), "{line}");
        }
    }

    #[test]
    fn non_article_pages_are_recognised() {
        for page in [
            "404 Not Found",
            "Good morning",
            "Hello everyone, happy Friday!",
            "Access Denied. You don't have permission to access this resource. Reference #18.",
            "Page not found. The page you are looking for may have moved.",
            "503 Service Unavailable\nNo server is available to handle this request.",
            "Just a moment...\nChecking your browser before you enter the site.",
            "Your IP was blocked because of suspicious activity.",
            "This content is not available in your region.",
            "Log in\nForgot your password?\nDon't have an account? Sign up",
            "You need to enable JavaScript to run this app.",
            "test",
            "Seite nicht gefunden",
        ] {
            assert!(is_non_article_page(page), "{page}");
        }
        for text in [
            "The ministry's website showed a 404 error for hours after hackers struck on Monday.",
            "Access denied: how Kenya's poor are shut out of hospitals",
            "Kenyan workers were paid to verify that users are human, the lawsuit said.",
            "Magnitude 5.9 quake hits off Tonga",
            "Russia banned 12 officials from entering the country",
            "Police blocked a road after an attack on a bank",
            "Welcome rain ends drought in Kenya's north",
            "Storms close airports",
            "A bridge under construction collapses in Andorra, killing two workers.",
            "Happy marriages make for healthier people",
            "You can bake cookies using the dough in this ice cream",
            "A workplace version of the network is coming soon",
        ] {
            assert!(!is_non_article_page(text), "{text}");
        }
    }
}
