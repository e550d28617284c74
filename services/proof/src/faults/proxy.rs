//! A link between two processes, which can be cut, slow, silent, or deaf in one direction.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// As it should be.
    Open,
    /// Connections are closed, new ones too: a partition that is noticed.
    Cut,
    /// Connections stand and nothing passes: a partition that is not noticed.
    Silent,
    /// What the caller says arrives, and no answer comes back: half-open.
    Deaf,
    /// Everything passes so much later.
    Slow(Duration),
}

impl Mode {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cut => "cut",
            Self::Silent => "silent",
            Self::Deaf => "half-open",
            Self::Slow(_) => "slow",
        }
    }
}

/// So much is passed on at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A port that leads to another one.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Link {
    pub(super) async fn start(
        name: impl Into<String>,
        address: SocketAddr,
        target: SocketAddr,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (mode, is) = watch::channel(Mode::Open);
        let task = tokio::spawn(accept(listener, target, is));
        Ok(Self { name: name.into(), mode, task })
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new(); // dropped with this task: that closes them
    loop {
        let Ok((near, _)) = listener.accept().await else { continue };
        while connections.try_join_next().is_some() {}
        connections.spawn(join(near, target, mode.clone()));
    }
}

async fn join(near: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>) {
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

/// Waits until the link lets something pass; `false` if it closes instead.
async fn passes(mode: &mut watch::Receiver<Mode>, way: Way) -> bool {
    let waits = |mode: &Mode| match mode {
        Mode::Open | Mode::Cut | Mode::Slow(_) => false,
        Mode::Silent => true,
        Mode::Deaf => way == Way::Back,
    };
    let now = match mode.wait_for(|mode| !waits(mode)).await {
        Ok(now) => *now,
        Err(_) => return false,
    };
    match now {
        Mode::Cut => return false,
        Mode::Slow(delay) => tokio::time::sleep(delay).await,
        Mode::Open | Mode::Silent | Mode::Deaf => {}
    }
    true
}
