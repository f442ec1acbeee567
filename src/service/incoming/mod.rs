//! Request messages: charged to the text budget before the server reads them.
//!
//! A message that may need much memory is held back after its first bytes until its
//! [`TextPermit`](super::admission::TextPermit) is there; the rest stays with the client, by HTTP/2 flow control. It is then
//! read and decoded here, and an empty message passes in its place, because tonic would keep a buffer of its size as long as
//! the stream is open. Small messages pass unchanged; the receiver charges them.

mod body;
mod encoding;
mod large;
mod queue;
mod timeouts;

pub use body::{ChargedBody, WhenFull};
pub use encoding::Encoding;
pub use queue::RequestQueue;
