//! Lines of scraped pages that are no article text: advert-blocker notices, share and sign-up prompts, lists of related
//! articles, cookie banners, copyright lines.
//!
//! Rules look at whole lines, so that an article about advert blockers keeps its sentences. A heading such as "Related
//! Articles" takes the headlines below it with it.

use regex::{Regex, RegexBuilder};
use std::{ops::Range, sync::LazyLock};

/// A longer line is a paragraph, and no paragraph of an article is dropped whole.
const LONGEST_NOTICE: usize = 400;
/// A longer line below a heading such as "Related Articles" is text again.
const LONGEST_TEASER: usize = 130;
/// So many lines at most go with their heading.
const MOST_TEASERS: usize = 15;

/// The parts of `text` to leave out, in order: whole lines without the white space around them.
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
        let heads_list = line.len() <= LONGEST_TEASER && LIST_HEADING.is_match(line);
        if heads_list {
            teasers_left = MOST_TEASERS;
            found.push(range);
        } else if line.len() <= LONGEST_NOTICE && (LABEL.is_match(line) || NOTICE.is_match(line)) {
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

/// A headline of another article: short, and not a sentence.
fn is_teaser(line: &str) -> bool {
    line.len() <= LONGEST_TEASER && !line.ends_with(['.', '!', '"', '\'', ':', ';', ','])
}

fn rule(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .ignore_whitespace(true)
        .build()
        .unwrap_or_else(|error| unreachable!("the patterns of this file are valid: {error}"))
}

/// Headings above lists of other articles.
static LIST_HEADING: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^[\W\d_]*(?:
            related(?:\s(?:articles?|stories|news|topics|content|links|coverage|posts|reading|videos?))?
          | (?:more|other|latest|top|breaking|popular|featured|trending|recommended)\s(?:stories|articles|news|headlines|reads|posts|videos|coverage)
          | more\s(?:from|on|in)\s[\w\s]{2,40}
          | most\s(?:read|popular|viewed|shared|watched|commented)(?:\s\w+){0,3}
          | top\smost\sread\sarticles
          | trending(?:\snow)? | recommended(?:\sfor\syou)? | you\s(?:may|might)\s(?:also\s)?(?:like|be\sinterested\sin|have\smissed)
          | what\sto\sread\snext | read\snext | up\snext | editors?'?s?\s(?:picks?|choice) | don't\smiss | from\saround\sthe\sweb
          | promoted\s(?:stories|content) | sponsored\s(?:stories|content|links)
        )[\W_]*$",
    )
});

/// Lines that are one label of a page.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"^[\W_]*(?:
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
          | newsletters? | follow\sus | contact\sus | about\sus | privacy(?:\spolicy)? | terms(?:\s(?:of\s(?:use|service)|(?:and|&)\sconditions))?
          | accept(?:\sall)?(?:\scookies)? | reject(?:\sall)?(?:\scookies)? | manage\s(?:cookies|preferences|settings|choices) | got\sit | i\sagree
          | (?:image|photo|picture|video)\s(?:source|caption|credit|copyright)s?(?:\W.{0,60})? | getty\simages | file\s(?:photo|picture)
          | \d+\s(?:min(?:ute)?s?\sread|(?:minutes?|hours?|days?)\sago) | (?:last\s)?updated\s.{0,50}(?-u:\b)ago
        )[\W_]*$",
    )
});

/// Notices and prompts, whole lines that speak to the reader of the page.
static NOTICE: LazyLock<Regex> = LazyLock::new(|| {
    rule(
        r"(?-u:\b)ad-?\s?block(?:er|ers|ing)?(?-u:\b).*(?-u:\b)(?:you|your|disable|turn|whitelist|allow|support|detected|please)(?-u:\b)
          | (?-u:\b)(?:you|your|disable|turn\soff|whitelist|please|detected)(?-u:\b).*(?-u:\b)ad-?\s?block(?:er|ers|ing)?(?-u:\b)
          | (?-u:\b)advert(?:ising|isement)?[\s-]block(?:er|ers|ing)(?-u:\b).*(?-u:\b)(?:you|your|disable|turn|support|detected|please)(?-u:\b)
          | (?-u:\b)(?:you|your|disable|turn\soff|please)(?-u:\b).*(?-u:\b)advert(?:ising|isement)?[\s-]block(?:er|ers|ing)(?-u:\b)
          | (?-u:\b)(?:we|site|website|page)\s(?:and\sour\spartners\s)?(?:use|uses|store)\scookies(?-u:\b) | (?-u:\b)cookies?\s(?:policy|settings|preferences|consent|notice)(?-u:\b)
          | (?-u:\b)(?:enable|turn\son|activate)\sjavascript(?-u:\b) | (?-u:\b)your\sbrowser\s(?:does\snot|doesn't|is\snot)(?-u:\b)
          | ^[\W_]*(?:please\s)?(?:sign\sup|subscribe|register|log\sin|sign\sin)\s(?:for|to|now|here|today|and|with|if)(?-u:\b)
          | ^[\W_]*(?:get|receive|have)\s.{0,80}(?-u:\b)(?:your\s(?:inbox|e-?mail|phone)|newsletter)(?-u:\b) | (?-u:\b)delivered\s(?:straight\s)?to\syour\sinbox(?-u:\b)
          | (?-u:\b)(?:our|free|daily|weekly|morning)\s(?:\w+\s)?newsletter(?-u:\b).*(?-u:\b)(?:sign|subscribe|inbox|you)(?-u:\b) | ^[\W_]*already\sa\s(?:subscriber|member)(?-u:\b)
          | ^[\W_]*your\sopinion\scounts(?-u:\b) | ^[\W_]*(?:join|start)\sthe\s(?:conversation|discussion|debate)(?-u:\b) | ^[\W_]*be\sthe\sfirst\sto\scomment(?-u:\b)
          | ^[\W_]*(?:to\s(?:post|leave|read|view)\s)?comments?\s(?:are|is|on\sthis|section|policy|guidelines)(?-u:\b) | ^[\W_]*have\s(?:a|your)\s(?:story|say)(?-u:\b).*(?-u:\b)(?:e-?mail|tell|send|us|click)(?-u:\b)
          | ^[\W_]*share\s(?:this|on|via|with|your|the\s(?:article|story))(?-u:\b) | ^[\W_]*(?:follow|like|find)\s.{0,60}(?-u:\b)on\s(?:facebook|twitter|x|instagram|youtube|linkedin|tiktok|whatsapp|telegram)(?-u:\b)
          | ^[\W_]*follow\s(?:us|@\w+)(?-u:\b) | ^[\W_]*click\s(?:here|on|to)(?-u:\b) | ^[\W_]*(?:also\sread|read\salso|read\smore|see\salso|watch|recommended|don't\smiss)\s*[:|»>]
          | ^[\W_]*download\s(?:our|the)\s.{0,40}(?-u:\b)app(?-u:\b) | (?-u:\b)download\sfrom\sthe\sapp\sstore(?-u:\b) | (?-u:\b)(?:app\sstore\s(?:and|or)\sgoogle\splay)(?-u:\b)
          | (?-u:\b)all\srights\sreserved(?-u:\b) | ^[\W_]*(?:copyright(?-u:\b)|\(c\)\s|©) | ©\s?\d{4} | (?-u:\b)may\snot\sbe\s(?:published|reproduced)(?-u:\b).*(?-u:\b)(?:broadcast|rewritten|redistributed|permission)(?-u:\b)
          | (?-u:\b)terms\s(?:of\s(?:use|service)|and\sconditions)(?-u:\b).*(?-u:\b)privacy\spolicy(?-u:\b) | (?-u:\b)privacy\spolicy(?-u:\b).*(?-u:\b)terms\sof(?-u:\b) | (?-u:\b)by\s(?:continuing|using|signing)(?-u:\b).*(?-u:\b)you\s(?:agree|accept|consent)(?-u:\b)
          | (?-u:\b)story\s(?:suggestion|idea)s?(?-u:\b).*(?-u:\b)e-?mail(?-u:\b) | ^[\W_]*this\s(?:article|story)\s(?:was\s)?(?:originally|first)\s(?:published|appeared)(?-u:\b) | ^[\W_]*originally\spublished(?-u:\b)
          | ^[\W_]*support\s(?:our|independent|quality)\sjournalism(?-u:\b) | ^[\W_]*you\shave\s(?:reached|read)\s.{0,40}(?-u:\b)(?:limit|free\sarticles?)(?-u:\b)",
    )
});

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> Vec<&str> {
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
    fn lines_of_pages_go() {
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
        ];
        for line in lines {
            assert_eq!(left(line), Vec::<&str>::new(), "{line}");
        }
    }

    #[test]
    fn sentences_of_articles_stay() {
        let lines = [
            "The company behind the most popular ad blocker was bought on Monday for $10 million.",
            "Ministers will share the report with parliament.",
            "Subscribers to the newspaper rose by a tenth.",
            "The court said cookies could be stored without consent.",
            "Live rounds were fired.",
            "Related parties held 12 per cent of the shares.",
            "More on the island have lost their homes, the mayor said.",
            "Search teams found two survivors.",
            "Watch makers in Geneva reported falling sales.",
        ];
        for line in lines {
            assert_eq!(left(line), [line]);
        }
    }

    #[test]
    fn headlines_below_related_articles_go_with_it_and_text_stays() {
        let text = "First paragraph of the story.\n\nRelated Articles\n\nCup final ends in a draw\nFilm festival opens\n\n\
                    The second paragraph goes on with a sentence.\nA short line\n";
        assert_eq!(
            left(text),
            ["First paragraph of the story.", "The second paragraph goes on with a sentence.", "A short line"]
        );
    }
}
