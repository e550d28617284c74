//! The contracts of evmesh: what crosses a process boundary, and nothing that acts on it.
//!
//! - the gRPC services, generated from `proto/evmesh`, one module a protobuf package, and [`Method`], which names every
//!   method of theirs;
//! - [`topics`]: the JSON messages on Kafka;
//! - [`store`]: the values that central, the engines and the registry keep on disk.

pub mod topics;

mod codec;
mod secrets;

#[allow(missing_debug_implementations, unreachable_pub, clippy::all)] // generated
mod generated {
    include!(concat!(env!("OUT_DIR"), "/evmesh.rs"));
}

mod methods {
    include!(concat!(env!("OUT_DIR"), "/methods.rs"));

    impl Method {
        /// The method with this path; `None` if no service has it.
        pub fn of(path: &str) -> Option<Self> {
            Self::ALL.iter().copied().find(|method| method.path() == path)
        }
    }
}

pub use generated::evmesh::{
    chargepoint::v1 as chargepoint, driver::v1 as driver, engine::v1 as engine, network::v1 as network,
    operations::v1 as operations, registry::v1 as registry, store::v1 as store,
};

pub use methods::Method;

/// Every proto file, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/evmesh.bin"));
