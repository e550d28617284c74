//! Calls by name and in JSON, from the descriptors alone: what is asked and answered is what any client could write
//! down.

use bytes::{Buf as _, BufMut as _, Bytes};
use prost_reflect::{
    DescriptorPool, DynamicMessage, MethodDescriptor, SerializeOptions, prost::Message as _,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::LazyLock, time::Duration};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};
use tonic_types::StatusExt as _;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(evmesh_proto::FILE_DESCRIPTOR_SET).expect("descriptors"));

/// Messages as bytes: what they mean is the caller's.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// The method of `Service/Method`; services have names of their own in all packages.
fn method(name: &str) -> MethodDescriptor {
    let (service, method) = name.split_once('/').expect("Service/Method");
    let service = POOL.services().find(|it| it.name() == service).expect("a service");
    service.methods().find(|it| it.name() == method).unwrap_or_else(|| panic!("no method {name}"))
}

fn path(text: &str) -> PathAndQuery {
    text.parse().expect("a path")
}

fn json(method: &MethodDescriptor, answer: Bytes) -> Value {
    let message = DynamicMessage::decode(method.output(), answer).expect("the answer is of its type");
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).expect("it is JSON")
}

/// Connections to the servers of a network.
#[derive(Debug, Default)]
pub(crate) struct Wire(BTreeMap<String, Channel>);

impl Wire {
    fn client(&mut self, address: &str) -> Grpc<Channel> {
        let connect = || {
            let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address");
            endpoint.connect_timeout(Duration::from_secs(5)).connect_lazy()
        };
        Grpc::new(self.0.entry(address.to_owned()).or_insert_with(connect).clone())
    }

    /// Calls `Service/Method`.
    pub(crate) async fn call(&mut self, address: &str, name: &str, request: &Value) -> Result<Value, Status> {
        let method = method(name);
        let message = DynamicMessage::deserialize(method.input(), request).expect("the request fits");
        let full = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let answer = self.raw(address, &full, message.encode_to_vec(), &[]).await?;
        Ok(json(&method, answer))
    }

    /// Calls a path with any bytes and headers.
    pub(crate) async fn raw(
        &mut self,
        address: &str,
        full: &str,
        request: Vec<u8>,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Bytes, Status> {
        let mut client = self.client(address);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(request);
        for (name, value) in headers {
            request.metadata_mut().insert(*name, value.parse().expect("a header"));
        }
        Ok(client.unary(request, path(full), Raw).await?.into_inner())
    }

    /// Opens a stream of answers to `Service/Method`.
    pub(crate) async fn follow(
        &mut self,
        address: &str,
        name: &str,
        request: &Value,
    ) -> Result<Answers, Status> {
        let method = method(name);
        let message = DynamicMessage::deserialize(method.input(), request).expect("the request fits");
        let full = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut client = self.client(address);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let stream = client.server_streaming(Request::new(message.encode_to_vec()), path(&full), Raw).await?;
        Ok(Answers { method, stream: stream.into_inner() })
    }

    /// Opens `Service/Method`, sends these requests, and gives every answer and how the stream ended.
    pub(crate) async fn converse(
        &mut self,
        address: &str,
        name: &str,
        requests: &[Value],
    ) -> (Vec<Value>, Option<Status>) {
        let method = method(name);
        let encode = |request: &Value| {
            DynamicMessage::deserialize(method.input(), request).expect("the request fits").encode_to_vec()
        };
        let requests: Vec<Vec<u8>> = requests.iter().map(encode).collect();
        let full = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let mut client = self.client(address);
        let ready = client.ready().await;
        ready.expect("it is connected");
        let mut answers = Vec::new();
        let stream = client.streaming(Request::new(tokio_stream::iter(requests)), path(&full), Raw).await;
        let mut stream = match stream {
            Ok(stream) => stream.into_inner(),
            Err(status) => return (answers, Some(status)),
        };
        loop {
            match stream.message().await {
                Ok(Some(answer)) => answers.push(json(&method, answer)),
                Ok(None) => return (answers, None),
                Err(status) => return (answers, Some(status)),
            }
        }
    }
}

/// A stream of answers.
#[derive(Debug)]
pub(crate) struct Answers {
    method: MethodDescriptor,
    stream: Streaming<Bytes>,
}

impl Answers {
    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Status> {
        Ok(self.stream.message().await?.map(|answer| json(&self.method, answer)))
    }
}

/// Every word of an error: code, message, `ErrorInfo`, `BadRequest`, `RetryInfo`.
pub(crate) fn error(status: &Status) -> Vec<String> {
    let code = Value::from(format!("{:?}", status.code()));
    let details = status.get_error_details();
    let mut lines = vec![format!("{} {:?}", code.as_str().unwrap_or_default(), status.message())];
    if let Some(info) = details.error_info() {
        let metadata: BTreeMap<_, _> = info.metadata.iter().collect();
        let metadata = if metadata.is_empty() { String::new() } else { format!(" {metadata:?}") };
        lines.push(format!("ErrorInfo {} of {}{metadata}", info.reason, info.domain));
    }
    for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
        lines.push(format!("BadRequest {}: {}", violation.field, violation.description));
    }
    if let Some(retry) = details.retry_info() {
        lines.push(format!("RetryInfo {:?}", retry.retry_delay));
    }
    lines
}
