//! The methods that exist, and which of them are streams: known from the descriptors, so that no list is kept by hand.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{collections::HashMap, sync::LazyLock};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// One request, one answer: bounded in time.
    Unary,
    /// A stream in either direction: may go on for ever.
    Streaming,
}

/// By path: `/package.Service/Method`.
static METHODS: LazyLock<HashMap<String, Method>> = LazyLock::new(|| {
    let sets = [
        evmesh_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = HashMap::new();
    for file in sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap_or_default().file) {
        for service in &file.service {
            for method in &service.method {
                let streams = method.client_streaming() || method.server_streaming();
                methods.insert(
                    format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                    if streams { Method::Streaming } else { Method::Unary },
                );
            }
        }
    }
    methods
});

/// The method with this path, and the path for as long as the process lives; `None` if there is none.
pub(super) fn find(path: &str) -> Option<(&'static str, Method)> {
    METHODS.get_key_value(path).map(|(path, method)| (path.as_str(), *method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_row_in_the_table_of_permissions() {
        for path in METHODS.keys() {
            assert!(identity::permissions::row_of(path).is_some(), "{path}");
        }
    }

    #[test]
    fn streams_are_told_from_calls() {
        for path in [
            "/evmesh.engine.v1.EngineService/Attend",
            "/evmesh.chargepoint.v1.ChargePointService/ReportHealth",
            "/evmesh.operations.v1.OperatorService/WatchNetwork",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(find(path), Some((path, Method::Streaming)));
        }
        for path in ["/evmesh.driver.v1.DriverService/RequestCharge", "/grpc.health.v1.Health/Check"] {
            assert_eq!(find(path), Some((path, Method::Unary)));
        }
        assert_eq!(find("/evmesh.driver.v1.DriverService/Nothing"), None);
    }
}
