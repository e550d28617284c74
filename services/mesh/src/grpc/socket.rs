//! A connection's socket: it ends where its caller says nothing, or where the connection takes up too much. With an
//! identity its caller's certificate is checked before anything is read.

use super::{
    actor::Actor,
    alive::{self, Side},
    caller::Caller,
    connection::{Account, Connections},
    refused::Refused,
    security::Security,
    wire::Wire,
};
use identity::Certified;
use rustls::{CertificateError, Error as TlsError, InvalidMessage, ServerConnection};
use std::{
    fmt,
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_rustls::{Accept, TlsAcceptor, TlsStream};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

/// Who connects says its first word within this, its handshake included, or the connection is closed.
const FIRST_WORD: Duration = Duration::from_secs(3);
/// HTTP/2's first word: a preface, and the head of a frame of settings. From then on it is asked for signs of life.
const FIRST_WORD_BYTES: usize = 24 + 9;

/// What was encrypted and is not on its way yet, of one connection: a record of TLS.
const ENCRYPTED_BYTES: usize = 16 * 1024;

/// A connection's socket, which can be closed from here whatever hyper waits for.
#[derive(Debug)]
pub(super) struct Socket {
    state: State,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until when its caller is to say so many bytes more; `None` once it has.
    first_word: Option<(Pin<Box<Sleep>>, usize)>,
    account: Account,
}

enum State {
    Open(Wire),
    /// And whose certificates are refused.
    Handshake(Box<Accept<TcpStream>>, Refused),
    /// Its handshake failed.
    Closed,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open(_) => "Open",
            Self::Handshake(..) => "Handshake",
            Self::Closed => "Closed",
        })
    }
}

impl Socket {
    /// Of a connection that was accepted.
    pub(super) fn new(stream: TcpStream, security: &Security, connections: &Connections) -> io::Result<Self> {
        let _ = alive::watch(&stream, Side::Server); // it is gone if that fails, and says so when it is read
        let caller = stream.peer_addr().ok().map(|from| Caller::from(from.ip()));
        let account = connections.account(caller);
        let closed = Box::pin(account.closed());
        let first_word = Some((Box::pin(tokio::time::sleep(FIRST_WORD)), FIRST_WORD_BYTES));
        let state = match security {
            Security::Identity { credentials, tls12, tokens, refused } => {
                if let Some(tokens) = tokens {
                    account.bearers().take(tokens.clone());
                }
                let config = credentials.server_config(*tls12).map_err(io::Error::other)?;
                let bounded = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(ENCRYPTED_BYTES));
                let accept = TlsAcceptor::from(config).accept_with(stream, bounded);
                State::Handshake(Box::new(accept), refused.clone())
            }
            Security::Loopback | Security::Insecure => {
                account.shown().set(Actor::Unchecked);
                State::Open(Wire::Plain(stream))
            }
        };
        Ok(Self { state, closed, first_word, account })
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// The bytes of its caller, once that has shown who it is.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut Wire>>> {
        self.poll_open(cx)?;
        if let Some((until, _)) = &mut self.first_word
            && until.as_mut().poll(cx).is_ready()
        {
            self.account.close("silent");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let State::Handshake(handshake, refused) = &mut self.state {
            let shaken = ready!(Pin::new(handshake).poll(cx));
            let refused = std::mem::take(refused);
            self.state = State::Closed;
            match shaken {
                Ok(stream) => {
                    let actor = Actor::of_handshake(of_caller(stream.get_ref().1), refused);
                    self.account.shown().set(actor);
                    self.state = State::Open(Wire::Secured(Box::new(TlsStream::from(stream))));
                }
                Err(error) => {
                    let (why, by_certificate) = why(&error);
                    self.account.refused(why, by_certificate, &error);
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.state {
            State::Open(wire) => Ok(Pin::new(wire)),
            State::Handshake(..) | State::Closed => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    }
}

/// Whom its caller's certificate names; `None` without one.
fn of_caller(connection: &ServerConnection) -> Option<Certified> {
    Certified::read(connection.peer_certificates()?.first()?).ok() // it was read once, to be accepted
}

/// Why a handshake failed, as metrics count it; and whether a certificate was shown, which is refused.
fn why(error: &io::Error) -> (&'static str, bool) {
    let why = match error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => return ("plain_text", false),
        Some(TlsError::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => "unknown_authority",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not_yet_valid",
            CertificateError::Other(_) => "misnamed",
            _ => "invalid",
        },
        _ => return ("handshake", false),
    };
    (why, true)
}

impl Connected for Socket {
    type ConnectInfo = Account;

    fn connect_info(&self) -> Account {
        self.account.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(self.poll_wire(cx))?.poll_read(cx, buffer);
        if let Some((_, lacks)) = &mut self.first_word {
            *lacks = lacks.saturating_sub(buffer.filled().len() - before);
            if *lacks == 0 {
                self.first_word = None;
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_wire(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_wire(cx))?.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true // as both kinds of wire are
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_open(cx)?;
        match &mut self.state {
            State::Open(wire) => Pin::new(wire).poll_flush(cx),
            State::Handshake(..) | State::Closed => Poll::Ready(Ok(())), // nothing was written yet
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_open(cx)?;
        match &mut self.state {
            State::Open(wire) => Pin::new(wire).poll_shutdown(cx),
            State::Handshake(..) | State::Closed => Poll::Ready(Ok(())),
        }
    }
}
