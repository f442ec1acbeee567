//! gRPC statuses that several parts of the server send.

use tonic::{Status, metadata::MetadataValue};

/// The message of an internal error.
pub const INTERNAL_ERROR: &str = "internal error; see the server's log";

/// The status of a call that cannot be admitted now.
pub fn overloaded() -> Status {
    retry_later("too many articles in process: retry later, or use a stream")
}

/// The status of a call beyond the maximum of open calls.
pub fn too_many_calls() -> Status {
    retry_later("too many open calls: retry later, or send more articles on each stream")
}

/// The status of a correction beyond the maximum of corrections at once.
pub fn too_many_corrections() -> Status {
    retry_later("too many corrections at once: retry later")
}

/// Asks clients with a retry policy to wait for 200 ms.
fn retry_later(reason: &str) -> Status {
    let mut status = Status::unavailable(reason);
    status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("200"));
    status
}

/// The status of a call with a message over the limit.
pub fn message_too_large(max_bytes: usize) -> Status {
    Status::resource_exhausted(format!("message exceeds the limit of {max_bytes} bytes: send shorter articles"))
}

/// The status of a call that exceeded its deadline.
pub fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("deadline exceeded: set a longer one, or send less at once")
}
