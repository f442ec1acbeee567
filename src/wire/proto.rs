//! The code that `build.rs` generates from `proto/dateline/v1`.

/// The package `dateline.v1`.
pub mod dateline {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("dateline.v1");
    }
}
/// The package `google.rpc`.
pub mod google {
    /// Errors.
    pub mod rpc {
        tonic::include_proto!("google.rpc");
    }
}

/// The encoded file descriptors of the contract, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
