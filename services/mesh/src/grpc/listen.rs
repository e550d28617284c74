//! Where a server listens, and the sockets that are bound for it.

use super::{connection::Connections, security::Security, socket::Socket};
use crate::Shutdown;
use futures_util::{Stream, StreamExt as _, stream};
use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use tonic::transport::server::TcpIncoming;

/// A port at which somebody answers is tried for so long: the process before this one may be about to end.
const PATIENCE: Duration = Duration::from_secs(3);
/// One at which nobody answers: the default ones are among those that Linux gives to clients, and a connection that
/// such a client closed holds its port for a minute more (TIME_WAIT).
const LONG_PATIENCE: Duration = Duration::from_secs(65);
/// Who listens on this machine answers far sooner.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a free port is looked for that all addresses of a name have free.
const FREE_PORT_TRIES: u32 = 10;

/// An address of this machine's, written `HOST:PORT`: a name, or an IP address. Port 0 takes any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    text: String,
    port: u16,
}

/// A text is no address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:50051, [::1]:50051 or localhost:50051"
)]
pub struct InvalidListen;

impl FromStr for Listen {
    type Err = InvalidListen;
    fn from_str(text: &str) -> Result<Self, InvalidListen> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListen)?;
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let (true, true, Ok(port)) = (super::address::is_name(host), digits, port.parse()) else {
            return Err(InvalidListen);
        };
        Ok(Self { text: text.to_owned(), port })
    }
}

impl<T: Into<SocketAddr>> From<T> for Listen {
    fn from(address: T) -> Self {
        let address = address.into();
        Self { text: address.to_string(), port: address.port() }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Listen {
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host by which others may reach it; `None` where that is every address of this machine.
    pub fn host(&self) -> Option<&str> {
        let host = self.text.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']))?;
        let every = host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        (!every).then_some(host)
    }

    /// The one address of a listener that can have one only: the first, as [`Listener::bind`] has them. Blocks.
    pub(crate) fn first(&self) -> io::Result<SocketAddr> {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&self.text)?.min();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{what} cannot listen on {address}: {problem}")]
pub struct BindError {
    what: String,
    address: String,
    problem: String,
}

#[derive(Debug)]
pub struct Listener {
    listeners: Vec<TcpListener>,
    address: SocketAddr,
    security: Security,
}

impl Listener {
    /// Binds, at all addresses of a name, IPv4 first; one that this machine does not have is left out, where it has
    /// another. `what` is the service, for the error: `central`. Plain text is bound on loopback only. A port that is
    /// in use is waited for, until the order to stop of [`Shutdown::heeded_by`].
    pub async fn bind(at: impl Into<Listen>, what: &str, security: &Security) -> Result<Self, BindError> {
        let at = at.into();
        let failed = |address: &dyn fmt::Display, problem| BindError {
            what: what.to_owned(),
            address: address.to_string(),
            problem,
        };
        let found = tokio::net::lookup_host(&at.text).await;
        let addresses: BTreeSet<SocketAddr> =
            found.map_err(|error| failed(&at, unresolved(&error)))?.collect();
        for address in &addresses {
            security.allows(address.ip()).map_err(|error| failed(address, error.to_string()))?;
        }
        let mut tries = 0..FREE_PORT_TRIES;
        let listeners = loop {
            match bind_all(&addresses).await {
                Ok(listeners) => break listeners,
                Err((_, error))
                    if at.port == 0 && error.kind() == io::ErrorKind::AddrInUse && tries.next().is_some() => {
                }
                Err((address, error)) => return Err(failed(&address, problem(&error))),
            }
        };
        let first = listeners.first().ok_or_else(|| failed(&at, "the name has no address".to_owned()))?;
        let address = first.local_addr().map_err(|error| failed(&at, error.to_string()))?;
        Ok(Self { listeners, address, security: security.clone() })
    }

    /// Where it listens, the first of several addresses: the port is known here even if it was given as 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The connections, as they come.
    pub(super) fn incoming(self, connections: Connections) -> impl Stream<Item = io::Result<Socket>> {
        let Self { listeners, security, .. } = self;
        let incoming = |listener| TcpIncoming::from(listener).with_nodelay(Some(true));
        stream::select_all(listeners.into_iter().map(incoming))
            .map(move |accepted| Socket::new(accepted?, &security, &connections))
    }
}

/// Binds all of them to one port; the error names the address.
async fn bind_all(addresses: &BTreeSet<SocketAddr>) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let (mut listeners, mut missing) = (Vec::<TcpListener>::new(), None);
    for mut address in addresses.iter().copied() {
        if let Some(port) = listeners.first().and_then(|first| first.local_addr().ok()).map(|at| at.port()) {
            address.set_port(port); // which may have been 0
        }
        match patiently(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => return Err((address, error)),
                _ => missing = Some((address, error)), // such as IPv6, of the name localhost
            },
        }
    }
    match missing {
        Some(missing) if listeners.is_empty() => Err(missing),
        Some((address, error)) => {
            tracing::warn!(%address, %error, "the name has an address that cannot be listened on; its others are");
            Ok(listeners)
        }
        None => Ok(listeners),
    }
}

async fn patiently(address: SocketAddr) -> io::Result<TcpListener> {
    let began = Instant::now();
    let mut answered = None;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && address.port() != 0 => {
                let first = answered.is_none();
                // Who answers is not asked ten times a second.
                if first || began.elapsed() >= PATIENCE {
                    answered = Some(answers(address).await);
                }
                let answers = answered.unwrap_or_default();
                if began.elapsed() >= if answers { PATIENCE } else { LONG_PATIENCE } {
                    return Err(error);
                }
                match (first, answers) {
                    (true, true) => {
                        let tries_s = PATIENCE.as_secs();
                        tracing::info!(%address, tries_s, "the address is in use; trying a little longer");
                    }
                    (true, false) => tracing::warn!(
                        "{address} is still held by a connection that ended a moment ago; waiting for up to a minute"
                    ),
                    (false, _) => {}
                }
                if tokio::time::timeout(AGAIN, Shutdown::heeded()).await.is_ok() {
                    return Err(error);
                }
            }
            bound => return bound,
        }
    }
}

/// Does somebody listen there? Whose client holds the port, or held it a moment ago, does not.
async fn answers(address: SocketAddr) -> bool {
    let connected = tokio::time::timeout(ANSWERS_WITHIN, TcpStream::connect(address)).await;
    !matches!(connected, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn unresolved(error: &io::Error) -> String {
    format!("the name has no address ({error}); check it, or give an IP address with --listen")
}

fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use; stop the other process or choose another port with --listen".into()
        }
        io::ErrorKind::PermissionDenied => {
            "not permitted; choose a port above 1023 with --listen, or run it with the right to".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; choose another with --listen".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::LogRing;
    use tracing_subscriber::prelude::*;

    #[test]
    fn names_and_addresses_are_checked() {
        for (text, port) in [
            ("127.0.0.1:50051", 50051),
            ("0.0.0.0:0", 0),
            ("[::1]:1", 1),
            ("localhost:50051", 50051),
            ("my-host.example.org:0", 0),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!((listen.to_string().as_str(), listen.port()), (text, port));
        }
        for wrong in
            ["", "50051", ":50051", "localhost", "localhost:", "localhost:+1", "a b:1", "::1:1", "h:65536"]
        {
            assert_eq!(wrong.parse::<Listen>(), Err(InvalidListen), "{wrong}");
        }
    }

    /// This machine's addresses of localhost, as the listener has them.
    async fn of_localhost(port: u16) -> Vec<SocketAddr> {
        let found: BTreeSet<_> = tokio::net::lookup_host(("localhost", port)).await.unwrap().collect();
        let mut has = Vec::new();
        for address in found {
            if TcpListener::bind((address.ip(), 0)).await.is_ok() {
                has.push(address);
            }
        }
        has
    }

    const SECURITY: Security = Security::Loopback;

    #[tokio::test]
    async fn a_name_is_listened_on_at_all_its_addresses() {
        let listener =
            Listener::bind("localhost:0".parse::<Listen>().unwrap(), "central", &SECURITY).await.unwrap();
        let addresses = of_localhost(listener.local_addr().port()).await;
        assert_eq!(listener.local_addr(), addresses[0], "IPv4 first");
        for address in &addresses {
            TcpStream::connect(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        }
        let none =
            Listener::bind("no-such-host.invalid:0".parse::<Listen>().unwrap(), "central", &SECURITY).await;
        let said = none.unwrap_err().to_string();
        assert!(
            said.starts_with("central cannot listen on no-such-host.invalid:0: the name has no"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_port_that_a_client_holds_is_waited_for_and_said() {
        let ring = LogRing::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(ring.clone());
        let _logged = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        // As a client's, to which the system gave it: its own end of a connection.
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(server.local_addr().unwrap()).await.unwrap();
        let address = client.local_addr().unwrap();
        assert_eq!(TcpListener::bind(address).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let binding = tokio::spawn(Listener::bind(address, "central", &SECURITY));
        let (accepted, _) = server.accept().await.unwrap();
        tokio::time::sleep(2 * AGAIN).await;
        let said: Vec<_> = ring.worst_first(9).into_iter().map(|(_, text)| text).collect();
        let what = format!("{address} is still held by a connection that ended a moment ago");
        assert!(said.len() == 1 && said[0].contains(&what), "{said:?}");
        tokio::time::sleep(PATIENCE + AGAIN).await;
        assert!(!binding.is_finished(), "longer than for a process that answers");
        drop(accepted); // the server's end goes first: nothing of the client's lingers
        client.readable().await.unwrap();
        drop(client);
        assert_eq!(binding.await.unwrap().unwrap().local_addr(), address);
    }
}
