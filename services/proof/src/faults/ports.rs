//! Ports that stay ours while the process behind one is away.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

/// Below those from which the system takes the ports of outgoing connections, so that none of these takes the port of a
/// process that is being started again.
const PORTS: Range<u16> = 20_000..32_000;

/// Gives each port once.
#[derive(Debug)]
pub(super) struct Ports {
    next: u16,
}

impl Ports {
    /// Runs at the same time start at different places.
    pub(super) fn new() -> Self {
        let spread = std::process::id().wrapping_mul(211) % u32::from(PORTS.end - PORTS.start);
        Self { next: PORTS.start + u16::try_from(spread).unwrap_or_default() }
    }

    /// A port on 127.0.0.1 where nothing listens.
    pub(super) fn take(&mut self) -> anyhow::Result<SocketAddr> {
        for _ in PORTS {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.next));
            self.next = if self.next + 1 >= PORTS.end { PORTS.start } else { self.next + 1 };
            if TcpListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        anyhow::bail!("no port from {} to {} is free", PORTS.start, PORTS.end)
    }
}
