//! What every command of the operator needs: central, and how to print.

use crate::{output::Format, remote::Remote};
use evmesh_proto::operations::operator_service_client::OperatorServiceClient;
use mesh::grpc::Peer;

pub(super) struct Desk {
    pub(super) central: Remote,
    pub(super) output: Format,
}

impl Desk {
    pub(super) fn client(&self) -> OperatorServiceClient<Peer> {
        OperatorServiceClient::new(self.central.peer.clone())
    }
}
