//! What goes over a connection, both ways, as anybody on the way sees it.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// One way of one connection.
type Way = Arc<Mutex<Vec<u8>>>;

/// Whoever connects here is connected to the server behind it, and every byte is kept.
pub struct Recorder {
    pub address: String,
    ways: Arc<Mutex<Vec<Way>>>,
}

impl Recorder {
    /// Before this server, which need not be there yet.
    pub fn before(server: &str) -> Self {
        Self::start(server, false)
    }

    /// The same before a broker, of whose answers only the address is changed: else its clients, which are told it
    /// there, would pass by.
    pub fn before_broker(server: &str) -> Self {
        Self::start(server, true)
    }

    fn start(server: &str, renamed: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let ways = Arc::new(Mutex::new(Vec::new()));
        let (all, server) = (ways.clone(), server.to_owned());
        let names = renamed.then(|| (advertised(&server), advertised(&address)));
        // It ends with the test's process.
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&server) else { continue };
                let there = (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
                pump(there, &all, None);
                pump((far, near), &all, names.clone());
            }
        });
        Self { address, ways }
    }

    /// Each way of each connection so far, whole.
    pub fn ways(&self) -> Vec<Vec<u8>> {
        let ways = self.ways.lock().expect("nobody panics");
        ways.iter().map(|way| way.lock().expect("nobody panics").clone()).collect()
    }

    /// Does it go over one of them?
    pub fn saw(&self, what: &[u8]) -> bool {
        let ways = self.ways.lock().expect("nobody panics");
        ways.iter().any(|way| contains(&way.lock().expect("nobody panics"), what))
    }
}

pub fn contains(all: &[u8], what: &[u8]) -> bool {
    let Some(first) = what.first() else { return true };
    let mut from = 0;
    while let Some(at) = all[from..].iter().position(|byte| byte == first) {
        if all[from + at..].starts_with(what) {
            return true;
        }
        from += at + 1;
    }
    false
}

/// Host and port as a broker says where it is.
fn advertised(address: &str) -> Vec<u8> {
    let (host, port) = address.rsplit_once(':').expect("an address");
    let port: i32 = port.parse().expect("a port");
    [host.as_bytes(), &port.to_be_bytes()].concat()
}

fn pump(
    (mut from, mut to): (TcpStream, TcpStream),
    ways: &Mutex<Vec<Way>>,
    names: Option<(Vec<u8>, Vec<u8>)>,
) {
    let way = Way::default();
    ways.lock().expect("nobody panics").push(way.clone());
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let bytes = &mut chunk[..read];
            if let Some((is, shall)) = &names {
                let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(is)).collect();
                places.into_iter().for_each(|at| bytes[at..at + is.len()].copy_from_slice(shall));
            }
            way.lock().expect("nobody panics").extend_from_slice(bytes);
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both)); // one of them has gone
    });
}
