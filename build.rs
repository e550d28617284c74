//! Compiles `proto/` to Rust, to the descriptor set that reflection serves, and to the list of its methods. Protox
//! needs no protoc.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{env, fs, path::PathBuf};

/// The messages with a secret in them: `secrets` says how they are shown, which is without it.
const SECRETS: [&str; 9] = [
    ".evmesh.chargepoint.v1.RequestManualSupplyRequest",
    ".evmesh.engine.v1.StartManualSupplyRequest",
    ".evmesh.engine.v1.TelemetryKey",
    ".evmesh.registry.v1.AddCardRequest",
    ".evmesh.registry.v1.BlockCardRequest",
    ".evmesh.registry.v1.CreateEnrolmentTokenResponse",
    ".evmesh.registry.v1.EnrolRequest",
    ".evmesh.registry.v1.UnblockCardRequest",
    ".evmesh.registry.v1.WatchIdentitiesResponse",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/evmesh");
    let files: Vec<PathBuf> = proto_files("proto/evmesh".into())?;
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("evmesh.bin"), descriptors.encode_to_vec())?;
    fs::write(out.join("methods.rs"), methods(&descriptors))?;
    let mut config = prost_build::Config::new();
    config.enable_type_names(); // a message knows its descriptor
    config.skip_debug(SECRETS);
    let services =
        tonic_prost_build::configure().codec_path("crate::codec::Frugal").include_file("evmesh.rs");
    services.compile_fds_with_config(descriptors, config)?;
    Ok(())
}

/// An enum of every method of every service, so that a table of them can be one that lacks none. `DriverListTickets` is
/// `/evmesh.driver.v1.DriverService/ListTickets`.
fn methods(descriptors: &FileDescriptorSet) -> String {
    let (mut variants, mut all, mut paths) = (String::new(), String::new(), String::new());
    for file in &descriptors.file {
        for service in &file.service {
            let short = service.name().strip_suffix("Service").unwrap_or(service.name());
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let variant = format!("{short}{}", method.name());
                variants += &format!("/// `{path}`\n{variant},\n");
                all += &format!("Self::{variant},\n");
                paths += &format!("Self::{variant} => {path:?},\n");
            }
        }
    }
    format!(
        "/// A method of one of the services of this crate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method {{ {variants} }}
        impl Method {{
            /// Every method, service by service.
            pub const ALL: &'static [Self] = &[{all}];
            /// As a call names it: `/package.Service/Method`.
            pub fn path(self) -> &'static str {{ match self {{ {paths} }} }}
        }}"
    )
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
