//! The encoding of XML documents: byte-order marks and XML declarations.

use super::Reading;
use encoding_rs::Encoding;
use std::ops::Range;

/// Decodes a document. Its encoding is that of the byte-order mark; otherwise UTF-8, if the bytes are valid and `reading` names
/// no encoding; otherwise that of `reading`, or of the XML declaration.
///
/// # Errors
/// If the bytes are not in this encoding; the message does not quote them.
pub fn decode(bytes: Vec<u8>, reading: &Reading) -> Result<String, String> {
    if Encoding::for_bom(&bytes).is_some() || (reading.encoding.is_none() && std::str::from_utf8(&bytes).is_ok()) {
        return reading.text(bytes);
    }
    match reading.encoding.or_else(|| declared(&bytes)) {
        Some(encoding) => Reading { encoding: Some(encoding), ..reading.clone() }.text(bytes),
        None => reading.text(bytes),
    }
}

/// A text without its byte-order mark.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{FEFF}').unwrap_or(text)
}

/// The encoding that an XML declaration names; `None` if it is missing or unknown.
pub fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(&bytes[label_range(bytes)?])
}

/// The position of the encoding's name in the XML declaration.
fn label_range(bytes: &[u8]) -> Option<Range<usize>> {
    const MAX_DECLARATION: usize = 256;
    let start = bytes.len() - bytes.trim_ascii_start().len();
    let declaration = bytes[start..].strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).take(MAX_DECLARATION).position(|end| end == b"?>")?;
    let declaration = std::str::from_utf8(&declaration[..end]).ok()?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let label = value[1..].split(quote).next()?;
    let at = start + b"<?xml".len() + (declaration.len() - value.len()) + 1;
    Some(at..at + label.len())
}

/// A decoded document whose XML declaration, if it names an encoding, names UTF-8.
pub fn declared_as_utf8(mut text: String) -> String {
    if declared(text.as_bytes()).is_some_and(|encoding| encoding != encoding_rs::UTF_8)
        && let Some(label) = label_range(text.as_bytes())
    {
        text.replace_range(label, "UTF-8");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded_as_declared() {
        let decoded = |bytes: &[u8]| decode(bytes.to_vec(), &Reading::default());
        assert_eq!(
            decoded(b"<?xml version=\"1.0\" encoding=\"iso-8859-1\"?><a>Caf\xE9</a>").map(|text| text.contains("Café")),
            Ok(true)
        );
        let wrongly_declared = "<?xml version=\"1.0\" encoding='iso-8859-1'?><a>Café</a>";
        assert_eq!(decoded(wrongly_declared.as_bytes()).as_deref(), Ok(wrongly_declared));
        assert_eq!(decoded(b"\xFF\xFE<\0a\0/\0>\0").as_deref(), Ok("<a/>"));
        assert!(decoded(b"<a>Caf\xE9</a>").is_err());
    }
}
