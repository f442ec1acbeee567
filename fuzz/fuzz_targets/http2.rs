//! Sends bytes to a server: as they are, as frames of an HTTP/2 connection, or as the message of a call.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dateline_fuzz::server::connection(bytes));
