//! The names of far sides, looked up without threads: the C library holds one for each name whose server does not
//! answer, and a process has few of them. An address, and a name of `/etc/hosts`, waits for nobody; a name that is
//! known to be answered, for none that is not.
//!
//! No address is kept: a container that comes back has another address under its name. A peer connects once at a
//! time, so it has one look-up under way at most.

use crate::now;
use domain::Mono;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup_ip::LookupIp,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf,
};
use hyper_util::client::legacy::connect::{HttpConnector, dns};
use std::{
    collections::HashMap,
    fs,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;
use tower::Service;

/// What says how names are looked up here. A change of either counts from the next look-up on.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// So many names are asked for at once, each over some sockets: as many that were answered the last time as others.
const PLACES: usize = 256;
/// While others wait for its place a name is asked for so long.
const A_TURN: Duration = Duration::from_millis(200);
/// So many names are known to be answered; with more, the one whose last answer is the oldest goes.
const KNOWN: usize = 16_384;
/// A name that is known is not once it has got no answer for so long: a name server's restart takes less.
const A_BLIP: Duration = Duration::from_secs(30);

/// Looks names up as this system does: `/etc/hosts`, then the name servers of `/etc/resolv.conf`. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    system: Mutex<Option<System>>,
    /// Those that are answered.
    known: Mutex<HashMap<Name, Known>>,
    of_known: Queue,
    of_others: Queue,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    answered: Mono,
    /// Since when it is asked for in vain.
    in_vain: Option<Mono>,
}

#[derive(Debug, Clone)]
struct System {
    hosts: Arc<Hosts>,
    servers: ResolverConfig,
    options: ResolverOpts,
    /// When its files last changed.
    changed: [Option<SystemTime>; 2],
}

impl Names {
    /// Connects to far sides by their names, from this address where it is one of this machine's many.
    pub(super) fn connector(&self, timeout: Duration, from: Option<IpAddr>) -> HttpConnector<Self> {
        let mut connector = HttpConnector::new_with_resolver(self.clone());
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        connector.set_local_address(from);
        connector
    }

    fn system(&self) -> System {
        let changed = FILES.map(|file| fs::metadata(file).and_then(|file| file.modified()).ok());
        let mut system = lock(&self.0.system);
        match &*system {
            Some(known) if known.changed == changed => known.clone(),
            Some(_) | None => system.insert(System::read(changed)).clone(),
        }
    }

    async fn find(self, name: dns::Name) -> io::Result<std::vec::IntoIter<SocketAddr>> {
        let system = self.system();
        let query = Name::from_ascii(name.as_str()).map_err(io::Error::other)?; // underscores are fine
        let mut found = system.of_hosts(&query);
        if found.is_empty() {
            let mut asked = Asked { known: &self.0.known, name: query.clone(), answered: false };
            let queue = if asked.is_known() { &self.0.of_known } else { &self.0.of_others };
            let answer = queue.turn(system.of_servers(query)).await;
            let nothing = |why| io::Error::new(io::ErrorKind::NotFound, format!("the name {name} has {why}"));
            let answer = answer.ok_or_else(|| nothing("a slow name server, and others wait".to_owned()))?;
            found.extend(answer.map_err(|error| nothing(words(&error)))?.iter());
            asked.answered = true;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter())
    }
}

impl System {
    fn read(changed: [Option<SystemTime>; 2]) -> Self {
        // Where nothing is configured the C library asks this machine, too.
        let (servers, options) = system_conf::read_system_conf().unwrap_or_else(|_| {
            let here = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            (ResolverConfig::from_parts(None, Vec::new(), vec![here]), ResolverOpts::default())
        });
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Self { hosts, servers, options, changed }
    }

    /// Addresses of both kinds: a name that has one here is asked of no server for the other.
    fn of_hosts(&self, name: &Name) -> Vec<IpAddr> {
        let kinds = [RecordType::A, RecordType::AAAA].into_iter();
        let found = kinds.filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.clone(), kind)));
        let addresses = found.map(|found| {
            found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()
        });
        addresses.flatten().collect()
    }

    /// By a resolver of this look-up's own: one that many share refuses some of them once its queue is full.
    async fn of_servers(&self, name: Name) -> Result<LookupIp, NetError> {
        let mut options = self.options.clone();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never; // it was looked at
        options.cache_size = 0;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(self.servers.clone(), provider);
        builder.with_options(options).build()?.lookup_ip(name).await
    }
}

fn words(error: &NetError) -> String {
    match error {
        NetError::Timeout => "a name server that does not answer".to_owned(),
        error if error.is_no_records_found() => "no address".to_owned(),
        error => format!("no address: {error}"),
    }
}

/// A name that is asked for. It is known from its answer on, until it was asked for in vain for [`A_BLIP`].
struct Asked<'a> {
    known: &'a Mutex<HashMap<Name, Known>>,
    name: Name,
    answered: bool,
}

impl Asked<'_> {
    fn is_known(&self) -> bool {
        lock(self.known).contains_key(&self.name)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        keep(&mut lock(self.known), &self.name, self.answered, now().mono);
    }
}

fn keep(known: &mut HashMap<Name, Known>, name: &Name, answered: bool, now: Mono) {
    if !answered {
        let Some(asked) = known.get_mut(name) else { return };
        if now.since(*asked.in_vain.get_or_insert(now)) > A_BLIP {
            known.remove(name);
        }
        return;
    }
    if known.len() >= KNOWN && !known.contains_key(name) {
        let oldest = known.iter().min_by_key(|(_, known)| known.answered).map(|(name, _)| name.clone());
        oldest.map(|oldest| known.remove(&oldest));
    }
    known.insert(name.clone(), Known { answered: now, in_vain: None });
}

/// Those who ask, and those who wait for that.
#[derive(Debug)]
struct Queue {
    places: Semaphore,
    waiting: AtomicUsize,
}

impl Default for Queue {
    fn default() -> Self {
        Self { places: Semaphore::new(PLACES), waiting: AtomicUsize::new(0) }
    }
}

impl Queue {
    /// As long as it takes; but once others wait, no longer than its turn. `None`: that was over.
    async fn turn<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        let waits = Waits::new(&self.waiting);
        let _place = self.places.acquire().await.ok()?;
        drop(waits);
        tokio::select! {
            biased;
            answer = asking => Some(answer),
            () = self.wanted() => None,
        }
    }

    async fn wanted(&self) {
        let mut turns = tokio::time::interval(A_TURN);
        turns.tick().await; // at once
        loop {
            turns.tick().await;
            if self.waiting.load(Relaxed) > 0 {
                return;
            }
        }
    }
}

/// One who waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service<dns::Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Self::Future {
        Box::pin(self.clone().find(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::config::ConnectionConfig;
    use std::sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    };
    use testing::eventually;
    use tokio::{net::UdpSocket, runtime, time::timeout};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A name server that answers for names that begin with `honest`, and for no others.
    struct Server {
        names: Names,
        asked: Arc<AtomicUsize>,
    }

    impl Server {
        async fn start() -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let asked = Arc::new(AtomicUsize::new(0));
            tokio::spawn(serve(socket, asked.clone()));
            let mut at = ConnectionConfig::udp();
            at.port = port;
            let server = NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![at]);
            let names = Names::default();
            let servers = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let system = System { servers, options: ResolverOpts::default(), ..names.system() };
            *lock(&names.0.system) = Some(system);
            Self { names, asked }
        }

        async fn find(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            let found = self.names.clone().find(name.parse().unwrap()).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
    }

    async fn serve(socket: UdpSocket, asked: Arc<AtomicUsize>) {
        let mut query = [0; 1500];
        loop {
            let (size, from) = socket.recv_from(&mut query).await.unwrap();
            asked.fetch_add(1, SeqCst);
            let name_end = 12 + query[12..size].iter().position(|byte| *byte == 0).unwrap() + 1;
            let question = &query[12..name_end + 4];
            if !question[1..].starts_with(b"honest") {
                continue;
            }
            let is_a = question[question.len() - 3] == 1;
            let head = [query[0], query[1], 0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0];
            let answer: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 10, 0, 0, 7];
            let answer = if is_a { answer } else { &[] };
            socket.send_to(&[&head, question, answer].concat(), from).await.unwrap();
        }
    }

    #[test]
    fn twelve_thousand_names_that_hang_keep_nobody_waiting() {
        // A runtime whose one thread for what blocks is taken: nobody waits for that either.
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).max_blocking_threads(1).enable_all().build().unwrap();
        let (release, taken) = mpsc::sync_channel::<()>(0);
        runtime.spawn_blocking(move || taken.recv());
        runtime.block_on(async {
            let server = Arc::new(Server::start().await);
            server.find("honest.example.").await.unwrap();
            for n in 0..12_000 {
                let server = server.clone();
                tokio::spawn(async move { server.find(&format!("silent-{n}.example.")).await });
            }
            let others = &server.names.0.of_others;
            eventually("they are asked for, and wait", PATIENCE, || async {
                (others.places.available_permits() == 0 && others.waiting.load(SeqCst) > 3_000).then_some(())
            })
            .await;
            // All of their turns take nine seconds: whoever waited for those would find nobody waiting.
            let found = timeout(PATIENCE, server.find("honest.example.")).await.unwrap().unwrap();
            assert_eq!(found, [IpAddr::from([10, 0, 0, 7])]);
            let here = timeout(PATIENCE, server.find("localhost")).await.unwrap().unwrap();
            assert!(here.iter().all(IpAddr::is_loopback) && !here.is_empty(), "{here:?}");
            assert!(others.waiting.load(SeqCst) > 0, "neither waits for them");
            // Who comes last has its turn.
            let newcomer = timeout(PATIENCE, server.find("honest-too.example."));
            assert_eq!(newcomer.await.expect("each has a turn").unwrap(), [IpAddr::from([10, 0, 0, 7])]);
        });
        drop(release);
        runtime.shutdown_background();
    }

    #[tokio::test]
    async fn no_address_is_kept_and_a_lone_name_has_all_the_time() {
        let server = Server::start().await;
        for name in ["honest", "honest_2.example", "honest.example."] {
            for _ in 0..2 {
                let before = server.asked.load(SeqCst);
                assert_eq!(server.find(name).await.unwrap(), [IpAddr::from([10, 0, 0, 7])], "{name}");
                assert!(server.asked.load(SeqCst) > before, "{name}: asked anew");
            }
        }
        let nowhere = Names::default().find("no-such-name.invalid".parse().unwrap()).await.unwrap_err();
        assert!(nowhere.to_string().starts_with("the name no-such-name.invalid has "), "{nowhere}");
        assert!(lock(&server.names.0.known).contains_key(&Name::from_ascii("honest").unwrap()));
        let silent = timeout(2 * A_TURN, server.find("silent.example.")).await;
        assert!(silent.is_err(), "nobody waits for its place: {silent:?}");
    }

    #[test]
    fn a_blip_drops_no_name_and_the_one_that_was_not_answered_for_longest_makes_room() {
        let name = |n: usize| Name::from_ascii(format!("engine-{n}.example.")).unwrap();
        let mut known = HashMap::new();
        for n in 0..KNOWN {
            keep(&mut known, &name(n), true, Mono(1 + n as u64));
        }
        keep(&mut known, &name(0), true, Mono(100_000));
        keep(&mut known, &name(KNOWN), true, Mono(100_001));
        let has = |known: &HashMap<_, _>, n| known.contains_key(&name(n));
        assert_eq!((has(&known, 0), has(&known, 1), has(&known, KNOWN)), (true, false, true));
        assert_eq!(known.len(), KNOWN);

        let mut in_vain = |n, at| {
            keep(&mut known, &name(n), false, Mono(at));
            has(&known, n)
        };
        assert_eq!([in_vain(0, 200_000), in_vain(0, 230_000), in_vain(0, 230_001)], [true, true, false]);
        assert!(in_vain(2, 200_000));
        keep(&mut known, &name(2), true, Mono(225_000));
        keep(&mut known, &name(2), false, Mono(300_000));
        assert!(has(&known, 2), "a blip of its own");
    }
}
