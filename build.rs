//! With the feature `wire`, compiles the contract: protox parses it (no protoc needed), tonic-prost-build generates the Rust code, and
//! the descriptor set is stored for server reflection.

use std::error::Error;

#[cfg(feature = "wire")]
fn main() -> Result<(), Box<dyn Error>> {
    use prost::Message as _;
    use std::{env, fs, path::PathBuf};

    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        ["dateline/v1/classifier.proto", "dateline/v1/admin.proto", "dateline/v1/corrections.proto"],
        ["proto"],
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}

#[cfg(not(feature = "wire"))]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
