//! Text in UTF-16, read as UTF-8: programs such as Excel write tables in it.

use encoding_rs::{Decoder, Encoding, UTF_8};
use std::io::{self, BufRead, BufReader, Read};

/// The reader, and whether its bytes are UTF-8 whatever encoding was named: a text that begins with a byte-order mark is decoded
/// as the mark says, and one in an encoding whose line breaks are not single bytes is decoded too.
///
/// # Errors
/// The reader's.
pub fn as_utf8(mut reader: Box<dyn BufRead>, named: Option<&'static Encoding>) -> io::Result<(Box<dyn BufRead>, bool)> {
    let start = reader.fill_buf()?;
    let marked = Encoding::for_bom(start).map(|(encoding, _)| encoding);
    match marked.or(named.filter(|encoding| !encoding.is_ascii_compatible())) {
        Some(encoding) if encoding == UTF_8 => {
            const MARK_BYTES: usize = 3;
            reader.consume(MARK_BYTES);
            Ok((reader, true))
        }
        Some(encoding) => {
            // Removes the mark.
            let decoder = encoding.new_decoder_with_bom_removal();
            Ok((Box::new(BufReader::new(Transcoding { reader, decoder, ended: false })), true))
        }
        None => Ok((reader, false)),
    }
}

/// A reader that decodes to UTF-8; invalid sequences become U+FFFD.
struct Transcoding {
    reader: Box<dyn BufRead>,
    decoder: Decoder,
    ended: bool,
}

impl Read for Transcoding {
    /// `buffer` must have room for a character.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended {
            let input = self.reader.fill_buf()?;
            let is_last = input.is_empty();
            let (result, read, written, _) = self.decoder.decode_to_utf8(input, buffer, is_last);
            self.reader.consume(read);
            self.ended = is_last && result == encoding_rs::CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_names_decide_the_encoding() {
        let read = |bytes: &'static [u8], name: Option<&str>| {
            let named = name.and_then(|name| Encoding::for_label(name.as_bytes()));
            let (mut reader, is_utf8) = as_utf8(Box::new(bytes), named).expect("bytes");
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| (text, is_utf8)).map_err(|error| error.kind())
        };
        assert_eq!(read(b"\xEF\xBB\xBFa", Some("windows-1252")), Ok(("a".to_owned(), true)));
        assert_eq!(read(b"\xFF\xFEa\0\xE9\0", None), Ok(("aé".to_owned(), true)));
        assert_eq!(read(b"\xFE\xFF\0a\xD8\x3D\xDE\0", None), Ok(("a😀".to_owned(), true)));
        assert_eq!(read(b"a\0\n\0", Some("utf-16le")), Ok(("a\n".to_owned(), true)));
        assert_eq!(read(b"abc", Some("windows-1252")), Ok(("abc".to_owned(), false)));
    }
}
