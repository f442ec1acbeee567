//! HTML element names, grouped by how the extraction of text treats them.

/// Elements whose content is never article text.
pub const NEVER_TEXT: [&[u8]; 12] = [
    b"script",
    b"style",
    b"noscript",
    b"template",
    b"iframe",
    b"svg",
    b"textarea",
    b"select",
    b"datalist",
    b"option",
    b"head",
    b"math",
];
/// Elements that hold no article text if the page closes them: navigation, sidebars, footers, buttons, dialogs.
pub const PAGE_ELEMENTS: [&[u8]; 6] = [b"nav", b"aside", b"footer", b"object", b"button", b"dialog"];
/// Elements that end an unclosed page element.
pub const ARTICLE_STARTS: [&[u8]; 4] = [b"article", b"main", b"h1", b"body"];
/// Elements without an end tag (HTML Standard, section 13.1.2).
pub const VOID: [&[u8]; 13] =
    [b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta", b"source", b"track", b"wbr"];
/// Elements that end at the start tag of the next item in the same list or table.
pub const ITEMS: [&[u8]; 6] = [b"li", b"dt", b"dd", b"tr", b"td", b"th"];
/// Elements that contain [`ITEMS`].
pub const LISTS: [&[u8]; 5] = [b"ul", b"ol", b"dl", b"menu", b"table"];
/// Elements allowed in `<head>`. Any other start tag ends an unclosed `<head>`.
pub const HEAD_CONTENT: [&[u8]; 9] =
    [b"title", b"meta", b"link", b"script", b"style", b"base", b"noscript", b"template", b"head"];
/// Blocks allowed in a heading. Any other block ends an unclosed heading.
pub const HEADING_CONTENT: [&[u8]; 2] = [b"br", b"div"];
/// Elements that begin and end lines (HTML Standard, section 15.3, Rendering: flow content, lists, tables, forms).
pub const BLOCKS: [&[u8]; 52] = [
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"body",
    b"br",
    b"caption",
    b"center",
    b"dd",
    b"details",
    b"dialog",
    b"dir",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"figcaption",
    b"figure",
    b"footer",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"header",
    b"hgroup",
    b"hr",
    b"html",
    b"legend",
    b"li",
    b"listing",
    b"main",
    b"menu",
    b"nav",
    b"ol",
    b"option",
    b"p",
    b"pre",
    b"search",
    b"section",
    b"summary",
    b"table",
    b"tbody",
    b"td",
    b"tfoot",
    b"th",
    b"thead",
    b"tr",
    b"ul",
    b"xmp",
];
