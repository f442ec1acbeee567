//! Tokens, one per line.

use super::error::{CredentialError, read};
use std::path::Path;

/// The tokens of a file, with the numbers of their lines. Blank lines and lines that begin with `#` are ignored.
///
/// # Errors
/// [`CredentialError`]: the file cannot be read, or a token has characters that a header cannot carry.
pub fn tokens(path: &Path) -> Result<Vec<(usize, String)>, CredentialError> {
    let text = String::from_utf8(read(path)?).map_err(|_| CredentialError::invalid(path, "not UTF-8"))?;
    if text.starts_with('\u{FEFF}') {
        let reason =
            "the file begins with a byte order mark, which would be part of a token: save it as UTF-8 without one";
        return Err(CredentialError::invalid(path, reason));
    }
    let lines = (1..).zip(text.lines().map(str::trim));
    let tokens = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    tokens
        .map(|(line, token)| match token.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok((line, token.to_owned())),
            false => Err(CredentialError::invalid(
                path,
                format!("line {line}: invalid token: expected ASCII letters, digits and punctuation"),
            )),
        })
        .collect()
}
