//! The names and the size limit of the files of a model.

/// The file name of the weights.
pub const TENSORS: &str = "model.safetensors";
/// The file name of the manifest.
pub const MANIFEST: &str = "manifest.json";
/// The file name of the model card.
pub const CARD: &str = "MODEL_CARD.md";

/// The largest size of a model file, in bytes: 1 GiB.
pub const LARGEST_FILE: u64 = 1 << 30;
/// The file name of the list of versions in service, in a folder of versions.
pub const CURRENT: &str = "CURRENT";
