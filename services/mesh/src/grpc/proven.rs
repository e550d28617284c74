//! A connection to a far side that has proven who it is: it ends once the far side's certificate is refused, whatever
//! is under way on it.

use super::{refused::Refused, wire::Wire};
use identity::Certified;
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

/// A far side's certificate was revoked.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is refused: it was revoked; whatever is there has to be enrolled again")]
pub(super) struct Revoked;

/// A connection to a far side.
pub(super) struct Proven {
    wire: Wire,
    /// Ends once the far side is refused; `None` in plain text.
    refused: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    closed: bool,
}

impl fmt::Debug for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proven").field(&self.wire).finish()
    }
}

impl Proven {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self { wire: Wire::Plain(stream), refused: None, closed: false }
    }

    /// After its handshake. Of who asks for an identity nobody is `refused`.
    pub(super) fn secured(stream: TlsStream<TcpStream>, refused: Option<&Refused>) -> Result<Self, Revoked> {
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        // It was read once, to be accepted.
        let serial = shown.and_then(|shown| Certified::read(shown).ok()).map(|read| Arc::from(read.serial));
        let watched = refused.zip(serial);
        if watched.as_ref().is_some_and(|(refused, serial)| refused.has(serial)) {
            return Err(Revoked);
        }
        let refused = watched.map(|(refused, serial)| Box::pin(refused.refuses(serial)) as Pin<Box<_>>);
        Ok(Self { wire: Wire::Secured(Box::new(stream)), refused, closed: false })
    }

    /// Whoever waits here hears of a refusal at once.
    fn poll_wire(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut Wire>> {
        if let Some(refused) = &mut self.refused
            && refused.as_mut().poll(cx).is_ready()
        {
            (self.refused, self.closed) = (None, true);
        }
        if self.closed { Err(io::Error::other(Revoked)) } else { Ok(Pin::new(&mut self.wire)) }
    }
}

impl AsyncRead for Proven {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_wire(cx)?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Proven {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_wire(cx)?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_wire(cx)?.poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_wire(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_wire(cx)?.poll_shutdown(cx)
    }
}
