//! Between the hosts: calls and answers as bytes, read as production reads them.

use central::{
    engine_client::{Request, Response},
    signing::Keys,
};
use domain::ChargePointId;
use domain::network::{CallFailed, EngineAnswer};
use evmesh_proto::engine::EngineState;
use proof::engine_process::{Asked, Told};
use prost::Message;

/// Over the wire and back.
pub(super) fn wired<T: Message + Default>(message: &T) -> T {
    T::decode(message.encode_to_vec().as_slice()).expect("what was encoded is decoded")
}

/// A call as its engine gets it.
pub(super) fn received(request: Request) -> Asked {
    match request {
        Request::Authorize(request) => Asked::Authorize(wired(&request)),
        Request::Revoke(request) => Asked::Revoke(wired(&request)),
        Request::Stop(request) => Asked::Stop(wired(&request)),
        Request::Confirm(request) => Asked::Confirm(wired(&request)),
        Request::GetState(request) => Asked::GetState(wired(&request)),
    }
}

/// What an answer says of the engine.
pub(super) fn state_of(told: &mut Told) -> Option<&mut EngineState> {
    match told {
        Told::Authorize(response) => response.state.as_mut(),
        Told::Revoke(response) => response.state.as_mut(),
        Told::Stop(response) => response.state.as_mut(),
        Told::Confirm(response) => response.state.as_mut(),
        Told::GetState(response) => response.state.as_mut(),
        Told::Pong(_) | Told::Panel(_) | Told::Done | Told::Refused(_) => None,
    }
}

/// An answer as central reads it.
pub(super) fn response(told: &Told, keys: &Keys, id: &ChargePointId) -> Result<EngineAnswer, CallFailed> {
    let response: Response = match told {
        Told::Authorize(response) => wired(response).into(),
        Told::Revoke(response) => wired(response).into(),
        Told::Stop(response) => wired(response).into(),
        Told::Confirm(response) => wired(response).into(),
        Told::GetState(response) => wired(response).into(),
        Told::Refused(failure) => return Err(CallFailed(failure.to_string())),
        Told::Pong(_) | Told::Panel(_) | Told::Done => {
            return Err(CallFailed("another call was answered".into()));
        }
    };
    response.read(keys, id).map_err(|failure| CallFailed(failure.to_string()))
}
