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
        let renames = renamed.then(|| Renames::new(&server, &address));
        // It ends with the test's process.
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&server) else { continue };
                let there = (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
                pump(there, &all, None);
                pump((far, near), &all, renames.clone());
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

/// Changes a broker's address in its answers, each of which begins with its length: in whole ones alone, however they
/// come.
#[derive(Clone)]
pub struct Renames {
    is: Vec<u8>,
    shall: Vec<u8>,
    held: Vec<u8>,
}

impl Renames {
    pub fn new(is: &str, shall: &str) -> Self {
        Self { is: advertised(is), shall: advertised(shall), held: Vec::new() }
    }

    /// What goes on by these bytes.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut end = 0;
        while let Some((size, rest)) = self.held[end..].split_first_chunk() {
            let size = u32::from_be_bytes(*size) as usize;
            if rest.len() < size {
                break;
            }
            end += 4 + size;
        }
        let rest = self.held.split_off(end);
        let mut whole = std::mem::replace(&mut self.held, rest);
        let places: Vec<usize> = (0..whole.len()).filter(|at| whole[*at..].starts_with(&self.is)).collect();
        places.into_iter().for_each(|at| whole[at..at + self.is.len()].copy_from_slice(&self.shall));
        whole
    }
}

fn pump((mut from, mut to): (TcpStream, TcpStream), ways: &Mutex<Vec<Way>>, mut renames: Option<Renames>) {
    let way = Way::default();
    ways.lock().expect("nobody panics").push(way.clone());
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            let bytes = &chunk[..read];
            let on = renames.as_mut().map_or_else(|| bytes.to_vec(), |renames| renames.take(bytes));
            // As it came, so that nothing is missed that is held for ever.
            way.lock().expect("nobody panics").extend_from_slice(bytes);
            if to.write_all(&on).is_err() {
                break;
            }
        }
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both)); // one of them has gone
    });
}
