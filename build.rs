//! Compiles `proto/` to Rust, and to the descriptor set that reflection serves. Protox needs no protoc.

use prost::Message as _;
use std::{env, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/evmesh");
    let files: Vec<PathBuf> = proto_files("proto/evmesh".into())?;
    let descriptors = protox::compile(files, ["proto"])?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("evmesh.bin"), descriptors.encode_to_vec())?;
    let mut config = prost_build::Config::new();
    config.enable_type_names(); // a message knows its descriptor
    tonic_prost_build::configure().include_file("evmesh.rs").compile_fds_with_config(descriptors, config)?;
    Ok(())
}

fn proto_files(folder: PathBuf) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(proto_files(path)?);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
