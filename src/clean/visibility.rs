//! Classifies HTML elements by their attributes: shown to readers, hidden, or part of the page rather than of the article.

/// The attributes of a start tag that affect visibility.
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
    /// The attribute whose value is expected next.
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

/// How the text of an element is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Shown to readers.
    Shown,
    /// Hidden from readers.
    Hidden,
    /// Part of the page rather than of the article: navigation, dialogs, consent notices.
    Page,
}

/// Elements that are always shown. Pages hide them only while loading, and mark them with the state of a consent notice.
const NEVER_HIDDEN: [&[u8]; 4] = [b"html", b"body", b"main", b"head"];
/// Roles of elements without article text (WAI-ARIA 1.2, landmark and window roles).
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
/// Classes that hide text on every screen: the screen-reader classes of Bootstrap, WordPress and others, and the utility
/// classes of Bootstrap, Bulma and Tailwind.
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
/// Suffixes of classes that show a hidden element on larger screens: `d-none d-md-block`, `hidden lg:flex`.
const SHOWING_SUFFIXES: [&str; 6] = ["block", "flex", "grid", "inline", "table", "contents"];
/// Prefixes of the ids and classes of consent notices and of consent management platforms.
const CONSENT_PREFIXES: [&str; 10] =
    ["ccpa", "cmp-", "consent", "cookie", "didomi", "gdpr", "onetrust", "qc-cmp", "sp_message", "usercentrics"];

impl Attributes {
    /// Adds an attribute by name; [`value`](Self::value) adds its value, if any. Of duplicate attributes, the first applies.
    pub fn name(&mut self, name: &[u8]) {
        self.current = None;
        let (attribute, is_duplicate) = match name {
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
        self.current = Some(attribute).filter(|_| !is_duplicate);
    }

    /// Sets the value of the attribute added last, with character references decoded.
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

    /// Whether a `<script>` contains JSON-LD.
    pub fn is_json_ld(&self) -> bool {
        self.json_ld
    }

    /// How the text of an element of this name is treated.
    pub fn visibility(&self, element: &[u8]) -> Visibility {
        if NEVER_HIDDEN.contains(&element) {
            return Visibility::Shown;
        }
        if self.hidden || self.style.as_deref().is_some_and(style_hides) || self.class_hides() {
            return Visibility::Hidden;
        }
        let has_page_role = self.role.as_deref().is_some_and(|role| PAGE_ROLES.contains(&role));
        let is_consent_name = |name: &str| CONSENT_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let classes = || self.class.iter().flat_map(|class| class.split_ascii_whitespace());
        let is_consent = element != b"article"
            && (self.id.as_deref().is_some_and(is_consent_name) || classes().any(is_consent_name));
        if has_page_role || self.modal || is_consent { Visibility::Page } else { Visibility::Shown }
    }

    fn class_hides(&self) -> bool {
        let Some(class) = &self.class else { return false };
        let mut classes = class.split_ascii_whitespace();
        // Classes for a screen size: `d-md-block`, `md:block`.
        let shows = |class: &str| {
            let suffix = class.rsplit(['-', ':']).next().unwrap_or_default();
            (class.contains(':') || class.starts_with("d-")) && SHOWING_SUFFIXES.contains(&suffix)
        };
        classes.clone().any(|class| HIDING_CLASSES.contains(&class)) && !classes.any(shows)
    }
}

/// Whether an inline style hides the element: `display: none`, `visibility: hidden` or `collapse`, `content-visibility: hidden`
/// (CSS Display 3, CSS Contain 2). The last declaration of a property applies, unless an earlier one is `!important`.
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

    fn visibility(element: &str, attributes: &[(&str, &str)]) -> Visibility {
        let mut parsed = Attributes::default();
        for (name, value) in attributes {
            parsed.name(name.as_bytes());
            if !value.is_empty() {
                parsed.value(value.as_bytes());
            }
        }
        parsed.visibility(element.as_bytes())
    }

    #[test]
    fn hidden_and_page_elements_are_recognised() {
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
            assert_eq!(visibility("div", attributes), Visibility::Hidden, "{attributes:?}");
        }
        for attributes in
            [("role", "dialog"), ("aria-modal", "true"), ("id", "CookieBanner"), ("class", "a consent-box")]
        {
            assert_eq!(visibility("div", &[attributes]), Visibility::Page, "{attributes:?}");
        }
    }

    #[test]
    fn other_elements_are_shown() {
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
            assert_eq!(visibility("div", attributes), Visibility::Shown, "{attributes:?}");
        }
        assert_eq!(visibility("body", &[("style", "display:none")]), Visibility::Shown, "hidden while loading");
        assert_eq!(visibility("html", &[("class", "cookie-consent-open")]), Visibility::Shown);
    }
}
