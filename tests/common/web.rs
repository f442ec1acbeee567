//! gRPC-Web over HTTP/1.1.

use prost::Message;
use std::io::{BufRead, Read};

/// A message in its gRPC frame.
pub fn framed(message: &impl Message) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    [&[0][..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// The message of the frame that a body begins with, and the rest of the body.
pub fn unframed<M: Message + Default>(body: &[u8]) -> (M, &[u8]) {
    let length = u32::from_be_bytes(body[1..5].try_into().expect("a length has four bytes")) as usize;
    (M::decode(&body[5..5 + length]).expect("a message"), &body[5 + length..])
}

/// Reads a body in chunked transfer encoding to its end.
pub fn read_chunked(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a chunk has a size");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a size is hexadecimal");
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).expect("the chunk is complete");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
