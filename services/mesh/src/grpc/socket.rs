//! A connection's socket: it ends where its caller says nothing, or where the connection takes up too much.

use super::{
    caller::Caller,
    connection::{Account, Connections},
};
use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

/// Who connects says its first word within this, or the connection is closed.
const FIRST_WORD: Duration = Duration::from_secs(3);
/// HTTP/2's first word: a preface, and the head of a frame of settings. From then on it is asked for signs of life.
const FIRST_WORD_BYTES: usize = 24 + 9;

/// A connection's socket, which can be closed from here whatever hyper waits for.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until when its caller is to say so many bytes more; `None` once it has.
    first_word: Option<(Pin<Box<Sleep>>, usize)>,
    account: Account,
}

impl Socket {
    /// Of a connection that was accepted.
    pub(super) fn new(stream: TcpStream, connections: &Connections) -> Self {
        let caller = stream.peer_addr().ok().map(|from| Caller::from(from.ip()));
        let account = connections.account(caller);
        let closed = Box::pin(account.closed());
        let first_word = Some((Box::pin(tokio::time::sleep(FIRST_WORD)), FIRST_WORD_BYTES));
        Self { stream, closed, first_word, account }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.closed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
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
        self.poll_open(cx)?;
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Some((until, lacks)) = &mut self.first_word {
            *lacks = lacks.saturating_sub(buffer.filled().len() - before);
            if *lacks == 0 {
                self.first_word = None;
            } else if until.as_mut().poll(cx).is_ready() {
                self.account.close("silent");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_open(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_open(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
