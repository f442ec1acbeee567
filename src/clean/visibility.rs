//! What the attributes of an element say of its text: shown to readers, hidden from them, or part of the page rather than of the
//! article.

/// The attributes of a start tag that matter here.
#[derive(Debug, Default)]
pub struct Attributes {
    hidden: bool,
    style: Option<String>,
    class: Option<String>,
    id: Option<String>,
    role: Option<String>,
    modal: bool,
    shadow_root: bool,
    json_ld: bool,
    /// The attribute whose value comes next.
    current: Option<Attribute>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Style,
    Class,
    Id,
    Role,
    Modal,
    ShadowRoot,
    Type,
}

/// What becomes of the text of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It is shown.
    Shown,
    /// No reader sees it.
    Hidden,
    /// It belongs to the page: navigation, dialogs, consent notices.
    Page,
}

/// Elements that cannot be hidden for good: pages hide them until they have loaded, or mark them with the state of a notice.
const NEVER_HIDDEN: [&[u8]; 4] = [b"html", b"body", b"main", b"head"];
/// Roles of parts of a page that hold no article text (WAI-ARIA 1.2, landmark and window roles).
const PAGE_ROLES: [&str; 10] = [
    "alertdialog",
    "complementary",
    "contentinfo",
    "dialog",
    "listbox",
    "menu",
    "menubar",
    "navigation",
    "search",
    "toolbar",
];
/// Classes by which style sheets hide text on every screen: those for screen readers of Bootstrap, WordPress and others, and the
/// utilities of Bootstrap, Bulma and Tailwind.
const HIDING_CLASSES: [&str; 12] = [
    "d-none",
    "element-invisible",
    "hidden",
    "hide",
    "invisible",
    "is-hidden",
    "screen-reader-only",
    "screen-reader-text",
    "show-for-sr",
    "sr-only",
    "visually-hidden",
    "visuallyhidden",
];
/// With one of these, such an element is shown on larger screens: `d-none d-md-block`, `hidden lg:flex`.
const SHOWING_ENDS: [&str; 6] = ["block", "flex", "grid", "inline", "table", "contents"];
/// How the names of consent notices and of the programs that show them begin.
const CONSENT: [&str; 10] =
    ["ccpa", "cmp-", "consent", "cookie", "didomi", "gdpr", "onetrust", "qc-cmp", "sp_message", "usercentrics"];

impl Attributes {
    /// The name of an attribute; the value follows, if there is one. Of two with one name the first counts.
    pub fn name(&mut self, name: &[u8]) {
        self.current = None;
        let (attribute, known) = match name {
            b"hidden" => {
                self.hidden = true;
                return;
            }
            b"style" => (Attribute::Style, self.style.is_some()),
            b"class" => (Attribute::Class, self.class.is_some()),
            b"id" => (Attribute::Id, self.id.is_some()),
            b"role" => (Attribute::Role, self.role.is_some()),
            b"aria-modal" => (Attribute::Modal, false),
            b"shadowrootmode" | b"shadowroot" => (Attribute::ShadowRoot, false),
            b"type" => (Attribute::Type, false),
            _ => return,
        };
        self.current = Some(attribute).filter(|_| !known);
    }

    /// The value of the attribute that was named last, its character references decoded.
    pub fn value(&mut self, value: &[u8]) {
        let Some(attribute) = self.current.take() else { return };
        let value = String::from_utf8_lossy(value).trim().to_ascii_lowercase();
        match attribute {
            Attribute::Style => self.style = Some(value),
            Attribute::Class => self.class = Some(value),
            Attribute::Id => self.id = Some(value),
            Attribute::Role => self.role = Some(value),
            Attribute::Modal => self.modal = value == "true",
            Attribute::ShadowRoot => self.shadow_root = matches!(&*value, "open" | "closed"),
            Attribute::Type => self.json_ld = value.starts_with("application/ld+json"),
        }
    }

    /// Whether a `<template>` is a declarative shadow root, whose content is shown.
    pub fn is_shadow_root(&self) -> bool {
        self.shadow_root
    }

    /// Whether a `<script>` holds JSON-LD.
    pub fn is_json_ld(&self) -> bool {
        self.json_ld
    }

    /// What becomes of the text of the element of this name.
    pub fn visibility(&self, element: &[u8]) -> Visibility {
        if NEVER_HIDDEN.contains(&element) {
            return Visibility::Shown;
        }
        if self.hidden || self.style.as_deref().is_some_and(style_hides) || self.class_hides() {
            return Visibility::Hidden;
        }
        let role = self.role.as_deref().is_some_and(|role| PAGE_ROLES.contains(&role));
        let named = |name: &str| CONSENT.iter().any(|begin| name.starts_with(begin));
        let classes = || self.class.iter().flat_map(|class| class.split_ascii_whitespace());
        let consent = element != b"article" && (self.id.as_deref().is_some_and(named) || classes().any(named));
        if role || self.modal || consent { Visibility::Page } else { Visibility::Shown }
    }

    fn class_hides(&self) -> bool {
        let Some(class) = &self.class else { return false };
        let mut classes = class.split_ascii_whitespace();
        // Of a screen size: `d-md-block`, `md:block`, `show-for-large`.
        let shows = |class: &str| {
            let end = class.rsplit(['-', ':']).next().unwrap_or_default();
            (class.contains(':') || class.starts_with("d-")) && SHOWING_ENDS.contains(&end)
        };
        classes.clone().any(|class| HIDING_CLASSES.contains(&class)) && !classes.any(shows)
    }
}

/// Whether an inline style hides the element: `display: none`, `visibility: hidden` or `collapse`, `content-visibility: hidden`
/// (CSS Display 3, CSS Contain 2). The last declaration of a property holds, unless an earlier one is `!important`.
fn style_hides(style: &str) -> bool {
    let mut declared: [Option<(bool, bool)>; 3] = [None; 3];
    for declaration in without_comments(style).split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        let value: String = value.split_whitespace().collect();
        let (value, important) = match value.strip_suffix("!important") {
            Some(value) => (value, true),
            None => (&*value, false),
        };
        let (slot, hides) = match property.trim() {
            "display" => (0, value == "none"),
            "visibility" => (1, matches!(value, "hidden" | "collapse")),
            "content-visibility" => (2, value == "hidden"),
            _ => continue,
        };
        if important || !matches!(declared[slot], Some((_, true))) {
            declared[slot] = Some((hides, important));
        }
    }
    declared.iter().flatten().any(|(hides, _)| *hides)
}

fn without_comments(style: &str) -> String {
    let mut rest = style;
    let mut plain = String::with_capacity(style.len());
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(element: &str, attributes: &[(&str, &str)]) -> Visibility {
        let mut read = Attributes::default();
        for (name, value) in attributes {
            read.name(name.as_bytes());
            if !value.is_empty() {
                read.value(value.as_bytes());
            }
        }
        read.visibility(element.as_bytes())
    }

    #[test]
    fn text_is_hidden_in_many_ways() {
        let hidden: [&[(&str, &str)]; 13] = [
            &[("hidden", "")],
            &[("hidden", "until-found")],
            &[("hidden", "false")],
            &[("style", "display:none")],
            &[("style", "color: red; DISPLAY : NONE !important ;")],
            &[("style", "display:/* not */none")],
            &[("style", "visibility: hidden")],
            &[("style", "visibility:collapse")],
            &[("style", "content-visibility:hidden")],
            &[("style", "display:none !important; display:block")],
            &[("class", "note sr-only")],
            &[("class", "d-none")],
            &[("class", "hidden")],
        ];
        for attributes in hidden {
            assert_eq!(of("div", attributes), Visibility::Hidden, "{attributes:?}");
        }
        for attributes in
            [("role", "dialog"), ("aria-modal", "true"), ("id", "CookieBanner"), ("class", "a consent-box")]
        {
            assert_eq!(of("div", &[attributes]), Visibility::Page, "{attributes:?}");
        }
    }

    #[test]
    fn other_text_is_shown() {
        let shown: [&[(&str, &str)]; 14] = [
            &[("style", "display:block")],
            &[("style", "display:none; display:block")],
            &[("style", "--display:none")],
            &[("style", "overflow:hidden; backface-visibility:hidden; opacity:0")],
            &[("style", "content-visibility:auto")],
            &[("style", "background:url(display:none)")],
            &[("style", "display:block"), ("style", "display:none")],
            &[("data-hidden", "true")],
            &[("aria-hidden", "true")],
            &[("class", "hidden-xs hide-for-print overflow-hidden")],
            &[("class", "d-none d-md-block")],
            &[("class", "hidden lg:flex")],
            &[("role", "article")],
            &[("id", "the-cookie-story")],
        ];
        for attributes in shown {
            assert_eq!(of("div", attributes), Visibility::Shown, "{attributes:?}");
        }
        assert_eq!(of("body", &[("style", "display:none")]), Visibility::Shown, "until it has loaded");
        assert_eq!(of("html", &[("class", "cookie-consent-open")]), Visibility::Shown);
    }
}
