//! What `proof` throws at evmesh's decoders, as a library: cargo-fuzz drives the same targets (`fuzz/`).

pub mod bytes;
pub mod engine_process;
pub mod pages;
