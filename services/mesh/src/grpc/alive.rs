//! How a connection whose far side has vanished is found: by this machine's kernel, which asks for a sign of life where
//! nothing comes, and gives up where nothing is acknowledged. Neither side's process has anything to do for that.
//!
//! It finds a machine that is gone, and a line that is cut. A process that hangs is found by who waits for its answer.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// So often it asks, this far apart; then it gives up.
const TIMES: u32 = 3;
/// See [`TIMES`].
const APART: Duration = Duration::from_secs(1);

/// Which side of a connection this is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Caller,
    /// Callers that vanished hold a place, which is less than a call that goes nowhere.
    Server,
}

impl Side {
    /// It asks after so much silence.
    const fn asks_after(self) -> Duration {
        match self {
            Self::Caller => Duration::from_secs(1),
            Self::Server => Duration::from_secs(5),
        }
    }

    /// It gives up after so much, and where nothing of what was sent is taken for so long.
    const fn gives_up_after(self) -> Duration {
        self.asks_after().saturating_add(APART.saturating_mul(TIMES))
    }
}

/// From now on it ends with an error once its far side has vanished.
pub(super) fn watch(stream: &TcpStream, side: Side) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let asks = TcpKeepalive::new().with_time(side.asks_after()).with_interval(APART).with_retries(TIMES);
    socket.set_tcp_keepalive(&asks)?;
    socket.set_tcp_user_timeout(Some(side.gives_up_after()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn the_kernel_asks_each_second_and_gives_up_after_the_third_time() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        for (side, asks, gives_up) in [(Side::Caller, 1, 4), (Side::Server, 5, 8)] {
            watch(&stream, side).unwrap();
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(asks), "{side:?}");
            let again = (socket.tcp_keepalive_interval().unwrap(), socket.tcp_keepalive_retries().unwrap());
            assert_eq!(again, (Duration::from_secs(1), 3), "{side:?}");
            let given_up = socket.tcp_user_timeout().unwrap();
            assert_eq!(given_up, Some(Duration::from_secs(gives_up)), "{side:?}");
        }
    }
}
