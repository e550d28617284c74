//! A network that a test can break: a TCP relay that is cut, slow, silent, deaf in one direction, or moves to another
//! target.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// So much is relayed at once.
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it should be.
    Open,
    /// Connections are closed, new ones too: a partition that is noticed.
    Cut,
    /// Connections stand and nothing passes: a partition that is not noticed. What was sent passes once it is open
    /// again.
    Silent,
    /// What the caller says arrives, and no answer comes back: half-open.
    Deaf,
    /// Everything passes so much later.
    Slow(Duration),
}

/// Relays connections to a target. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    mode: watch::Sender<Mode>,
    /// So many times what stood was cut.
    cuts: watch::Sender<u32>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
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
        let (mode, is) = watch::channel(Mode::Open);
        let cuts = watch::Sender::new(0);
        let task = tokio::spawn(accept(listener, target.clone(), is, cuts.subscribe()));
        Self { address, target, mode, cuts, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is like this.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// From now on it is [`Mode::Silent`], or open again.
    pub fn set_silent(&self, silent: bool) {
        self.set(if silent { Mode::Silent } else { Mode::Open });
    }

    /// Closes the connections that stand, as a proxy does with those that are idle; new ones pass.
    pub fn cut_standing(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
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

async fn accept(
    listener: TcpListener,
    target: Arc<Mutex<SocketAddr>>,
    mode: watch::Receiver<Mode>,
    cuts: watch::Receiver<u32>,
) {
    let mut connections = JoinSet::new(); // dropped with this task: that closes them
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cuts = cuts.clone();
        cuts.mark_unchanged();
        connections.spawn(join(near, target, mode.clone(), cuts));
    }
}

async fn join(
    near: TcpStream,
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
    mut cuts: watch::Receiver<u32>,
) {
    if !passes(&mut mode.clone(), Way::There).await {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true)); // an unset one is only slower
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut until_cut = mode.clone();
    tokio::select! {
        () = pump(near_in, far_out, mode.clone(), Way::There) => {}
        () = pump(far_in, near_out, mode, Way::Back) => {}
        _ = until_cut.wait_for(|mode| *mode == Mode::Cut) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>, way: Way) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        if !passes(&mut mode, way).await || to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
    passes(&mut mode, way).await; // a close does not pass either
}

/// Waits until the relay lets something pass; `false` if it closes instead.
async fn passes(mode: &mut watch::Receiver<Mode>, way: Way) -> bool {
    let waits = |mode: &Mode| match mode {
        Mode::Open | Mode::Cut | Mode::Slow(_) => false,
        Mode::Silent => true,
        Mode::Deaf => way == Way::Back,
    };
    let Ok(now) = mode.wait_for(|mode| !waits(mode)).await.map(|mode| *mode) else {
        return false;
    };
    match now {
        Mode::Cut => return false,
        Mode::Slow(delay) => tokio::time::sleep(delay).await,
        Mode::Open | Mode::Silent | Mode::Deaf => {}
    }
    true
}
