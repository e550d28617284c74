//! The port where metrics are read: HTTP/1.1, one answer a connection.
//!
//! Anyone may reach it. So what connects says what it wants at once, in a few bytes, and takes its answer within
//! seconds; of too many connections the oldest goes.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// So many connections at once: whoever collects metrics has one.
const MOST: usize = 64;
/// The request is here within this.
const ASKED_WITHIN: Duration = Duration::from_secs(3);
/// The answer, some hundred kilobytes, is taken within this.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// The largest head of a request.
const HEAD_BYTES: usize = 8 * 1024;
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Needs a tokio runtime.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Answers every `GET` with the page, as long as the process lives.
pub(crate) async fn serve(listener: TcpListener, page: impl Fn() -> String + Clone + Send + 'static) {
    let mut open = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await; // too many open files: the next try would fail at once
            continue;
        };
        open.retain(|one: &tokio::task::JoinHandle<_>| !one.is_finished());
        if open.len() >= MOST
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(answer(stream, page.clone())));
    }
}

/// An error is its caller's, who is gone or makes no sense.
async fn answer(mut stream: TcpStream, page: impl Fn() -> String) -> io::Result<()> {
    let head = timeout(ASKED_WITHIN, head(&mut stream)).await??;
    let (status, page) = match head.starts_with(b"GET ") {
        true => ("200 OK", page()),
        false => ("405 Method Not Allowed", String::new()),
    };
    let length = page.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{page}"
    );
    timeout(TAKEN_WITHIN, async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    })
    .await?
}

async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn started() -> SocketAddr {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, || "evmesh_up 1\n".to_owned()));
        address
    }

    /// All that comes until the end.
    async fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await; // closed or reset
        String::from_utf8(said).unwrap()
    }

    const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n";

    #[tokio::test]
    async fn a_page_is_given_and_what_is_no_request_is_not_answered() {
        let address = started().await;
        let page = ask(address, SCRAPE).await;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\nevmesh_up 1\n"), "{page}");
        assert!(ask(address, b"POST / HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        assert_eq!(ask(address, &[b'x'; 2 * HEAD_BYTES]).await, "");
    }

    #[tokio::test]
    async fn connections_that_say_nothing_keep_nobody_out_and_are_closed() {
        let address = started().await;
        let mut silent = Vec::new();
        for _ in 0..3 * MOST {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let page = timeout(Duration::from_secs(1), ask(address, SCRAPE)).await.expect("at once");
        assert!(page.contains("evmesh_up"), "{page}");
        for mut stream in silent {
            let mut nothing = Vec::new();
            let closed = timeout(ASKED_WITHIN * 2, stream.read_to_end(&mut nothing)).await;
            assert!(closed.is_ok() && nothing.is_empty(), "it is still open");
        }
    }
}
