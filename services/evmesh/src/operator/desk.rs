//! What every command of the operator needs: central, and how to print.

use crate::{output::Format, remote::Remote};
use evmesh_proto::operations::operator_service_client::OperatorServiceClient;
use mesh::grpc::Peer;
use std::path::PathBuf;

pub(super) struct Desk {
    pub(super) central: Remote,
    pub(super) output: Format,
    /// The folder of whoever asks.
    pub(super) identity: Option<PathBuf>,
}

impl Desk {
    pub(super) fn client(&self) -> OperatorServiceClient<Peer> {
        OperatorServiceClient::new(self.central.peer.clone())
    }
}
