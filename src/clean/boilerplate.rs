//! Finds lines of scraped pages that are not article text: advert-blocker notices, share and sign-up prompts, lists of
//! related articles, cookie banners, copyright lines.
//!
//! Rules match whole lines of at most [`MAX_NOTICE_BYTES`]. A notice must address the reader of the page or match as a
//! whole: "Copyright law was changed on Monday." and "Register to vote by Monday, officials said." are sentences of
//! articles. A heading such as "Related Articles" is removed with the headlines below it.

use super::{
    notices,
    rules::{case_sensitive_rule, rule, rules},
};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{Regex, RegexSet, SetMatches};
use std::{ops::Range, sync::LazyLock};

/// Maximum length of a notice in bytes; longer lines are paragraphs of the article.
const MAX_NOTICE_BYTES: usize = 400;
/// Maximum length in bytes of a headline below a heading such as "Related Articles", and of the heading.
const MAX_TEASER_BYTES: usize = 130;
/// Maximum number of headlines removed with one heading.
const MAX_TEASERS: usize = 15;

/// The byte ranges of `text` to remove, in ascending order: lines without the white space around them.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut teasers_left = 0;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let from = start + (line.len() - line.trim_start().len());
        start += line.len();
        let line = line.trim();
        let range = from..from + line.len();
        if line.is_empty() {
            continue;
        }
        // Longer lines are neither notices nor headings.
        let starts = (line.len() <= MAX_NOTICE_BYTES).then(|| LINE_STARTS.matches(line));
        let is_heading = |starts: &SetMatches| line.len() <= MAX_TEASER_BYTES && starts.matched(LIST_HEADING);
        if starts.as_ref().is_some_and(is_heading) {
            teasers_left = MAX_TEASERS;
            found.push(range);
        } else if starts.is_some_and(|starts| is_notice(line, &starts)) {
            found.push(range);
        } else if teasers_left > 0 && is_teaser(line) {
            teasers_left -= 1;
            found.push(range);
        } else {
            teasers_left = 0;
        }
    }
    found
}

fn is_notice(line: &str, starts: &SetMatches) -> bool {
    if starts.matched(LABEL) || (line.starts_with('B') && BYLINE.is_match(line)) {
        return true;
    }
    let has_keyword = KEYWORDS.is_match(line);
    let addresses_reader = || starts.matched(PROMPT) || (has_keyword && NOTICE.is_match(line));
    (addresses_reader() && !SPEECH.is_match(line))
        || (has_keyword && (IMPRINT.is_match(line) || notices::is_about_data(line)))
}

/// Whether a line is the headline of another article: short and not a sentence.
fn is_teaser(line: &str) -> bool {
    line.len() <= MAX_TEASER_BYTES && !line.ends_with(['.', '!', '"', '\'', ':', ';', ','])
}

/// The kinds of lines that are recognised by their start, as indices into [`LINE_STARTS`].
const LIST_HEADING: usize = 0;
const LABEL: usize = 1;
const PROMPT: usize = 2;

/// The patterns of these kinds, which are searched together.
static LINE_STARTS: LazyLock<RegexSet> =
    LazyLock::new(|| rules([LIST_HEADING_PATTERN, LABEL_PATTERN, &prompt_pattern()]));

/// Headings above lists of other articles.
const LIST_HEADING_PATTERN: &str = r"^[\W\d_]*(?:
            related(?:\s(?:articles?|stories|news|topics|content|links|coverage|posts|reading|videos?))?
          | (?:more|other|latest|top|breaking|popular|featured|trending|recommended)\s(?:stories|articles|news|headlines|reads|posts|videos|coverage)
          | more\s(?:from|on|in)\s(?:this\s\w+|the\sauthor|news|world|politics|business|sports?|tech(?:nology)?|entertainment|health|science|opinion|culture|local|national|international)
          | most\s(?:read|popular|viewed|shared|watched|commented)(?:\s\w+){0,3}
          | top\smost\sread\sarticles
          | trending(?:\snow)? | recommended(?:\sfor\syou)? | you\s(?:may|might)\s(?:also\s)?(?:like|be\sinterested\sin|have\smissed)
          | what\sto\sread\snext | read\snext | up\snext | editors?'?s?\s(?:picks?|choice) | don't\smiss | from\saround\sthe\sweb
          | promoted\s(?:stories|content) | sponsored\s(?:stories|content|links)
        )[\W_]*$";

/// Lines that consist of a label of the page.
const LABEL_PATTERN: &str = r"^[\W_]*(?:
            (?:show|read|see|load|view|learn)\s(?:more|less|all|full\s(?:story|article))(?:\scomments)?
          | advertise?ments? | adverts? | ads?\sby\s\w+ | sponsored | promoted | continue\sreading(?:\sbelow)?
          | (?:article|story)\scontinues\s(?:below|after)(?:\s(?:the\s)?advert\w*)?
          | share(?:\sthis)?(?:\s(?:article|story|page|post))? | tweet | pin\sit | e-?mail(?:\sthis)? | print(?:\sthis)? | save | copy\slink
          | (?:facebook|twitter|x|whatsapp|telegram|linkedin|reddit|pinterest|instagram|youtube|e-?mail|print|copy\slink|share|save|tweet)
            (?:\W+(?:facebook|twitter|x|whatsapp|telegram|linkedin|reddit|pinterest|instagram|youtube|e-?mail|print|copy\slink|share|save|tweet))+
          | (?:\d+\s)?(?:shares?|comments?|likes?|replies) | comments?\s?\(?\d*\)? | (?:view|post|add|leave|read)\s(?:a\s|all\s|your\s)?(?:\d+\s)?comments?
          | your\sopinion\scounts | have\syour\ssay | what\sdo\syou\sthink | rate\sthis\s(?:article|story)
          | skip\sto\s(?:main\s)?(?:content|navigation) | menu | home | search | sign\s(?:in|up|out) | log\s?(?:in|out) | register | subscribe(?:\snow)?
          | close | back(?:\sto\stop)? | next | previous | play(?:\svideo)? | watch(?:\slive)? | live | listen | loading | tags? | topics? | gallery
          | uk | us | usa | world | international | national | politics | business | sports? | technology | tech | entertainment | opinion | culture
          | credit | caption | image | video | photos? | reporting\sby\s.{2,80} | editing\sby\s.{2,80} | \(?(?:reporting|editing|writing)\sby\s.{2,120}
          | newsletters? | follow\sus | contact\sus | about\sus | privacy(?:\spolicy)? | terms(?:\s(?:of\s(?:use|service)|(?:and|&)\sconditions))?
          | cookies?\s(?:policy|settings|preferences|consent|notice) | accept(?:\sall)?(?:\scookies)? | reject(?:\sall)?(?:\scookies)? | manage\s(?:cookies|preferences|settings|choices) | got\sit | i\sagree
          | (?:image|photo|picture|video)\s(?:source|caption|credit|copyright)s?(?:\W.{0,60})? | getty\simages | file\s(?:photo|picture)
          | (?:image|photo|picture|video)s?\s?(?:by|:)\s.{2,60}
          | (?:\w{3,9}\s\d{1,2},?\s\d{4}\W+)?\d+\s(?:min(?:ute)?s?\sread|(?:minutes?|hours?|days?)\sago) | (?:last\s)?updated\s.{0,50}\bago
        )[\W_]*$";

/// Lines that name the author of the article, which are unrelated to its topic.
static BYLINE: LazyLock<Regex> = LazyLock::new(|| {
    let name = r"\p{Lu}[\p{L}.'-]*";
    case_sensitive_rule(&format!(
        r"^(?:By|BY)\s{name}(?:\s(?:{name}|and|de|van|von|al|bin)){{0,7}}(?:(?:,|\s[|\u{{2013}}-]|\sin)\s[^.]{{1,60}})?$"
    ))
});

/// Company details: legal form, register, address, without a sentence.
static IMPRINT: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^[\W_]*(?:
            (?:\S+\s){0,6}(?:registered|incorporated)\s(?:in|with)\s[^.]{2,60}\b(?:no\.?|number|company|under)\b.{0,120}
          | (?:\S+\s){0,4}(?:registered\soffice|company\s(?:no|number|registration)|vat\s(?:no|number|reg\w*)|abn|impressum)\b\s?[:.]?\s?.{0,160}\d.{0,60}
          | (?:\S+\s){0,6}is\s(?:a\s(?:division|subsidiary|part|trading\sname|registered\strademark)\sof|published\sby|owned\sand\soperated\sby|regulated\sby)\s[^.]{2,80}\b(?:ltd|limited|llc|plc|gmbh|inc|pty|group|corp\w*|ipso)\b.{0,40}
        )[\W_]*$",
    )
});

/// Attribution of speech, which marks sentences of articles.
static SPEECH: LazyLock<Regex> = LazyLock::new(|| rule(r"\b(?:said|says|told|according\sto)\b"));

/// Prompts: lines that begin by addressing the reader of the page.
fn prompt_pattern() -> String {
    let networks = r"(?:facebook|twitter|x|instagram|youtube|linkedin|tiktok|whatsapp|telegram|threads|bluesky)";
    let patterns = [
        r"(?:please\s)?(?:enable|turn\son|activate)\sjavascript\b",
        r"your\sbrowser\s(?:does\snot|doesn't|is\snot)",
        r"(?:please\s)?(?:sign\sup|subscribe|register|log\sin|sign\sin)\b.*\b(?:you|your|our|newsletters?|account|inbox|e-?mail|alerts?|subscriber|subscription|comment|for\sfree)\b",
        r"(?:get|receive|have)\s.{0,80}\b(?:(?:in|to)\syour\s(?:inbox|e-?mail|phone)|our\s.{0,20}newsletter)\b",
        r"already\sa\s(?:subscriber|member)\s?\?",
        r"your\sopinion\scounts\b",
        r"(?:join|start)\sthe\s(?:conversation|discussion|debate)[\W_]*(?:$|log|sign|leave|post|share|comment)",
        r"we\s(?:value|care\sabout|respect)\syour\sprivacy\b",
        r"please\swhitelist\b",
        r"report\s(?:a\s|an\s)?(?:typo|error|mistake|correction)\b.{0,40}$",
        r"related\stopics?\s?:",
        r"top\snews(?:\stoday)?\s?:",
        r"be\sthe\sfirst\sto\scomment\b",
        r"comments?\s(?:are|is|have\sbeen)\s(?:now\s)?(?:closed|disabled|moderated|turned\soff|subject\sto)\b",
        r"to\s(?:post|leave|read|view)\s(?:a\s|all\s)?comments?\b",
        r"(?:have|got|do\syou\shave)\s(?:a|any)\s(?:story|tip|news\stip|question)\b.*\b(?:e-?mail|tell\sus|send\sus|contact\sus|get\sin\stouch|click)\b",
        r"if\syou\shave\sa\sstory\b.*e-?mail\b",
        r"share\s(?:this|on|via|with\s(?:your|friends)|your\s(?:thoughts|views|opinion))\b[^.]{0,80}[\W_]*$",
        &format!(r"(?:follow|like|find|join)\s(?:us|our|@\w+|me)\b.{{0,60}}\bon\s{networks}\b"),
        &format!(r"(?:follow|find)\s[^,.]{{0,60}}\son\s{networks}(?:\W|$)"),
        r"(?:follow|like)\sus\b",
        r"click\s(?:here|on\sthe\s(?:link|image|button)|to\s(?:view|read|see|enlarge|play|watch|subscribe|share|e-?mail|print|expand))\b",
        r"(?:also\sread|read\salso|read\smore|see\salso|recommended|don't\smiss|related)\s?[:|»>]",
        r"download\s(?:our|the)\s.{0,40}\bapp\b[^.]{0,40}[\W_]*$",
        r"(?:copyright\s)?(?:©|\(c\))\s?(?:copyright|\d{4}|[a-z]|\p{Lu})",
        r"copyright\s\d{4}\b",
        r"this\s(?:article|story)\s(?:was\s)?(?:originally|first)\s(?:published|appeared)\b",
        r"originally\spublished\s(?:by|in|on|at|under)\b",
        r"(?:please\s)?(?:take|complete|fill\s(?:in|out)|answer)\s(?:our|this)\s.{0,40}\bsurvey\b",
        r"you\shave\s(?:reached|read|\d+)\s.{0,40}\b(?:limit|free\sarticles?)\b",
        r"support\s(?:our|independent|quality)\sjournalism\b",
    ];
    format!(r"^[\W_]*(?:{})", patterns.join("|"))
}

/// Notices: lines that contain one of these phrases anywhere.
static NOTICE: LazyLock<Regex> = LazyLock::new(|| {
    let blocker = r"\b(?:ad|ads|advert|adverts|advertising|advertisement)[-\s]?block(?:er|ers|ing)\b";
    let patterns = [
        &format!(r"{blocker}.*\b(?:please|disable\sit|whitelist|turn\sit\soff|detected|you(?:'re|\sare)\susing)\b"),
        &format!(r"\b(?:you(?:'re|\sare|\shave|\smay\sbe|\sseem)|your|please|detected|disable|turn\soff)\b.*{blocker}"),
        r"\b(?:we|(?:this|our)\s(?:web)?(?:site|page))\s(?:and\sour\spartners\s)?(?:also\s)?(?:uses?|stores?)\s(?:\w+\s)?cookies\b",
        r"\bjavascript\s(?:is|must\sbe)\s(?:disabled|enabled|required)\b",
        r"\bdelivered\s(?:straight\s|directly\s)?to\syour\s(?:inbox|e-?mail)\b",
        r"\bdownload\sfrom\sthe\sapp\sstore\b",
        r"\ball\srights\sreserved\b",
        r"\bmay\snot\sbe\s(?:published|reproduced),?\s.*\b(?:broadcast|rewritten|redistributed|permission)\b",
        r"\b(?:by|in)\s(?:continuing|using|signing|clicking|browsing)\b.*\byou\s(?:agree|accept|consent)\b",
        r"\byou\sagree\sto\sour\b",
    ];
    rule(&patterns.join("|"))
});

/// Words of which every match of [`NOTICE`], of [`IMPRINT`] and of [`notices::is_about_data`] contains at least one. They
/// are much faster to search for, and most lines have none.
static KEYWORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let of_notices = ["blocker", "blocking", "cookie", "javascript", "app store", "reserved", "may not be", "you"];
    let of_imprints = [
        "registered",
        "incorporated",
        "company n",
        "company r",
        "vat n",
        "vat r",
        "abn",
        "impressum",
        "division",
        "subsidiary",
        "part of",
        "trading",
        "trademark",
        "published by",
        "operated by",
        "regulated by",
    ];
    let of_data = [
        "consent",
        "gdpr",
        "ccpa",
        "cpra",
        "lgpd",
        "privacy",
        "personal",
        "opt",
        "third",
        "vendor",
        "advertiser",
        "legitimate",
        "controller",
        "user",
        "terms",
        "conditions",
        "unsubscribe",
        "newsletter",
        "technolog",
        "identifiers",
        "browsing",
        "targeted",
        "recaptcha",
        "information on",
    ];
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(of_notices.iter().chain(&of_imprints).chain(&of_data))
        .unwrap_or_else(|error| unreachable!("invalid built-in keywords: {error}"))
});

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_lines(text: &str) -> Vec<&str> {
        let mut kept = Vec::new();
        let mut from = 0;
        for range in find(text) {
            kept.push(&text[from..range.start]);
            from = range.end;
        }
        kept.push(&text[from..]);
        kept.into_iter().flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn lines_of_pages_are_removed() {
        let lines = [
            "We noticed you are using an ad blocker. Please disable it to support our journalism.",
            "It looks like you have an advert blocker. Please whitelist us.",
            "This website uses cookies to give you the best experience.",
            "Related Articles",
            "Show More",
            "SHOW MORE +",
            "Your Opinion Counts",
            "Sign up for our morning newsletter",
            "Share this article",
            "Facebook Twitter WhatsApp",
            "Get the day's headlines in your inbox",
            "© 2019 The Daily Example. All rights reserved.",
            "Find BBC News: East of England on Facebook, Instagram and Twitter. If you have a story suggestion email us.",
            "ADVERTISEMENT",
            "READ ALSO: Minister opens bridge",
            "Please enable JavaScript to view the comments",
            "3 min read",
            "October 24, 2018 · 4 min read",
            "Photo: Example Pictures",
            "Take our two-minute reader survey and help us improve the site.",
            "By Jane Q. Example, Health Correspondent",
            "By Jane Example and John Sample in Brussels",
            "BUSINESS",
            "US",
            "We value your privacy and process data with our 843 partners.",
            "Click to share on Facebook",
            "(Reporting by Jane Example; editing by John Sample)",
            "Follow The Example on Twitter and Instagram",
            "More from this author",
            "Copyright 2021 The Example",
            "Subscribe to our channel",
            "By signing up you agree to our terms of service",
            "Already a subscriber? Log in",
        ];
        for line in lines {
            assert_eq!(kept_lines(line), Vec::<&str>::new(), "{line}");
        }
    }

    #[test]
    fn notices_have_a_keyword() {
        for line in [
            "Use of this site constitutes acceptance of our User Agreement and Privacy Policy.",
            "Your choices: opt-in or opt-out of targeted advertising at any time.",
            "We and third-party partners process your data on the basis of legitimate interest.",
            "I agree to the terms of service and may withdraw my consent.",
            "Our vendors store unique identifiers and browsing data on your device.",
            "You may unsubscribe from our newsletter at any time.",
            "Please review our conditions of use before you continue.",
            "Our data controller may share your personal information under the CCPA and GDPR.",
            "This page is protected by reCAPTCHA.",
            "Example News is a trading name of Example Media Ltd.",
            "Example News is published by Example Media Limited.",
            "Example Media. Registered in England and Wales, company number 01234.",
            "Example Verlag. Impressum: Musterweg 1, 10115 Berlin",
            "VAT no. 123 4567 89",
        ] {
            assert!(
                notices::is_about_data(line) || IMPRINT.is_match(line) || NOTICE.is_match(line),
                "no notice: {line}"
            );
            assert!(KEYWORDS.is_match(line), "no keyword: {line}");
        }
    }

    #[test]
    fn sentences_of_articles_are_kept() {
        let lines = [
            "The company behind the most popular ad blocker was bought on Monday for $10 million.",
            "Ministers will share the report with parliament.",
            "Subscribers to the newspaper rose by a tenth.",
            "The court said cookies could be stored without consent.",
            "Live rounds were fired.",
            "Take a survey of voters: most will tell you that prices matter.",
            "Photos of the flood were shared widely.",
            "Related parties held 12 per cent of the shares.",
            "More on the island have lost their homes, the mayor said.",
            "Search teams found two survivors.",
            "By Monday, floods had cut off the town.",
            "\"We use cookies only when asked,\" a spokesman for this website said.",
            "Ad blockers are used by a third of Germans, a survey found.",
            "Copyright law was changed by the Senate on Monday.",
            "Already a member of the EU, Croatia joined the euro.",
            "Like many leaders, Macron announced it on Twitter.",
            "Regulators fined Google over its cookie consent banners.",
            "Comments are due by May 5 on the EPA rule.",
            "Register to vote by Monday, officials in Ohio said.",
            "Watch: Rockets hit Kyiv",
            "More in Kenya die of cholera",
            "Follow the money, she said, and you find the party.",
            "Share prices fell on Monday.",
            "Sign up for the mission has begun, the army said.",
            "Watch makers in Geneva reported falling sales.",
        ];
        for line in lines {
            assert_eq!(kept_lines(line), [line]);
        }
    }

    #[test]
    fn headlines_below_related_articles_are_removed_and_text_is_kept() {
        let text = "First paragraph of the story.\n\nRelated Articles\n\nCup final ends in a draw\nFilm festival opens\n\n\
                    The second paragraph goes on with a sentence.\nA short line\n";
        assert_eq!(
            kept_lines(text),
            ["First paragraph of the story.", "The second paragraph goes on with a sentence.", "A short line"]
        );
    }
}
