//! Which methods are streams: known from the descriptors, so that no list has to be kept by hand.

use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{collections::HashSet, sync::LazyLock};

static STREAMING: LazyLock<HashSet<String>> = LazyLock::new(|| {
    [
        evmesh_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .flat_map(|set| FileDescriptorSet::decode(set).unwrap_or_default().file)
    .flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("/{package}.{}", service.name());
            let streams = service
                .method
                .into_iter()
                .filter(|m| m.client_streaming() || m.server_streaming());
            streams
                .map(|method| format!("{name}/{}", method.name()))
                .collect::<Vec<_>>()
        })
    })
    .collect()
});

/// Is the method with this path (`/package.Service/Method`) a stream in either direction? Streams have no time limit.
pub fn is_streaming(path: &str) -> bool {
    STREAMING.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_from_calls() {
        for path in [
            "/evmesh.engine.v1.EngineService/Attend",
            "/evmesh.chargepoint.v1.ChargePointService/ReportHealth",
            "/evmesh.operator.v1.OperatorService/WatchNetwork",
            "/grpc.health.v1.Health/Watch",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(is_streaming(path), "{path}");
        }
        assert!(!is_streaming("/evmesh.driver.v1.DriverService/RequestCharge"));
        assert!(!is_streaming("/grpc.health.v1.Health/Check"));
    }
}
