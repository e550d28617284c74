//! How a connection to a far side begins: its name looked up, connected to, and, with an identity, both sides proven.

use super::{
    alive::{self, Side},
    names::Names,
    proven::Proven,
    refused::Refused,
    security::{PlainText, Security},
};
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use identity::{Expected, Pin, Shows};
use rustls::{
    CertificateError, ClientConfig, Error as TlsError, InvalidMessage, OtherError, pki_types::ServerName,
};
use std::{
    error::Error,
    future::Future,
    io,
    net::IpAddr,
    pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};
use tower::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Connects to one far side.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    names: HttpConnector<Names>,
    proof: Proof,
    expected: Expected,
}

/// How a far side proves who it is, and who it is that calls.
#[derive(Debug, Clone)]
pub(super) enum Proof {
    Security(Security),
    /// Nobody yet, who calls the registry to be somebody.
    Enrolment(Pin),
}

impl Proof {
    fn allows(&self, address: IpAddr) -> Result<(), PlainText> {
        match self {
            Self::Security(security) => security.allows(address),
            Self::Enrolment(_) => Ok(()),
        }
    }

    /// Whose certificates are refused.
    fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Security(security) => security.refused(),
            Self::Enrolment(_) => None,
        }
    }

    /// `None` for plain text.
    fn config(&self, expected: Expected) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        Ok(match self {
            Self::Security(Security::Identity { credentials, .. }) => {
                Some(credentials.client_config(expected)?)
            }
            Self::Security(Security::Loopback | Security::Insecure) => None,
            Self::Enrolment(pin) => Some(pin.client_config()?),
        })
    }
}

impl Connector {
    pub(super) fn new(names: HttpConnector<Names>, proof: Proof, expected: Expected) -> Self {
        Self { names, proof, expected }
    }

    /// By what the next call shows who makes it; `None` for nothing. A token goes to central alone, over TLS: any other
    /// far side could come to central with it.
    pub(super) fn shows(&self) -> Option<Shows> {
        match &self.proof {
            Proof::Security(Security::Identity { credentials, .. }) => match credentials.shows() {
                Shows::Token(_) if self.expected != Expected::Central => None,
                shows => Some(shows),
            },
            Proof::Security(Security::Loopback | Security::Insecure) | Proof::Enrolment(_) => None,
        }
    }

    async fn secured(proof: Proof, expected: Expected, stream: TcpStream) -> Result<Proven, BoxError> {
        proof.allows(stream.peer_addr()?.ip())?;
        let Some(config) = proof.config(expected)? else { return Ok(Proven::plain(stream)) };
        let connector = TlsConnector::from(config);
        // No name is sent: it is not the host's name that is checked.
        let name = ServerName::from(stream.peer_addr()?.ip());
        let stream = connector.connect(name, stream).await.map_err(in_words)?;
        Ok(Proven::secured(TlsStream::from(stream), proof.refused())?)
    }
}

/// What a handshake failed of, for people.
fn in_words(error: io::Error) -> BoxError {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
    match cause {
        Some(TlsError::InvalidCertificate(why)) => {
            let why = match why {
                CertificateError::Other(OtherError(why)) => why.to_string(),
                CertificateError::UnknownIssuer => "no authority of this network signed it".to_owned(),
                other => other.to_string(),
            };
            format!("its certificate is refused: {why}").into()
        }
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "it speaks plain text; start it with an identity, or leave out --identity here".into()
        }
        _ => error.into(),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Proven>;
    type Error = BoxError;
    type Future = pin::Pin<Box<dyn Future<Output = Result<TokioIo<Proven>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.names.poll_ready(cx).map_err(BoxError::from)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (proof, expected) = (self.proof.clone(), self.expected.clone());
        let literal = uri.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok());
        let allowed = literal.map_or(Ok(()), |address| proof.allows(address));
        let connected = allowed.map(|()| self.names.call(uri));
        Box::pin(async move {
            let stream = connected?.await?.into_inner();
            let _ = alive::watch(&stream, Side::Caller); // it is gone if that fails, and says so when it is read
            Ok(TokioIo::new(Self::secured(proof, expected, stream).await?))
        })
    }
}
