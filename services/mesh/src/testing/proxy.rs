//! A network that a test can break: a TCP relay that goes silent, or moves to another target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// So much is relayed at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Relays connections to a target. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    silent: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(target: SocketAddr) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), target).await
    }

    /// Starts at an address, which was free until now.
    pub async fn start_at(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free address");
        let address = listener.local_addr().expect("a bound listener has an address");
        let target = Arc::new(Mutex::new(target));
        let (silent, is_silent) = watch::channel(false);
        let task = tokio::spawn(accept(listener, target.clone(), is_silent));
        Self { address, target, silent, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are taken and stay open, and nothing passes: the far side is half-open. What was sent
    /// passes once this is off again.
    pub fn set_silent(&self, silent: bool) {
        self.silent.send_replace(silent);
    }

    /// New connections go there.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: Arc<Mutex<SocketAddr>>, silent: watch::Receiver<bool>) {
    let mut connections = tokio::task::JoinSet::new(); // dropped with this task: that closes them
    while let Ok((near, _)) = listener.accept().await {
        let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
        let mut silent = silent.clone();
        connections.spawn(async move {
            speaking(&mut silent).await;
            let Ok(far) = TcpStream::connect(target).await else {
                return;
            };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::select! {
                () = pump(near_in, far_out, silent.clone()) => {}
                () = pump(far_in, near_out, silent) => {}
            }
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut silent: watch::Receiver<bool>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        speaking(&mut silent).await;
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
    speaking(&mut silent).await; // a close does not pass either
}

async fn speaking(silent: &mut watch::Receiver<bool>) {
    if silent.wait_for(|silent| !silent).await.is_err() {
        std::future::pending().await // the proxy is being dropped, and this with it
    }
}
