//! A network of `evmesh up` on free ports.

use super::{PATIENCE, Process, broker::Broker};

/// A running `evmesh up`, and where its parts are.
pub struct Up {
    pub process: Process,
    pub central: String,
    pub broker: Broker,
}

/// The flags of an `evmesh up` that disturbs nobody.
pub fn flags(broker: &Broker, more: &[&str]) -> Vec<String> {
    let own = ["up", "--plain", "--listen", "127.0.0.1:0", "--engine-port-base", "0"];
    let mut flags: Vec<String> = own.iter().chain(more).map(ToString::to_string).collect();
    flags.extend(broker.flags());
    flags
}

impl Up {
    /// Starts it on the test's broker, and waits until it is ready.
    pub fn ready(more: &[&str]) -> Self {
        let broker = Broker::open();
        let process = Process::start(flags(&broker, more));
        process.line(&["ready: every charge point is available"], PATIENCE);
        let central = last_word(&process.line(&["central "], PATIENCE));
        Self { process, central, broker }
    }

    /// Where the engine of a charge point is.
    pub fn engine(&self, charge_point: &str) -> String {
        self.address(charge_point, "engine")
    }

    /// Where its monitor is.
    pub fn monitor(&self, charge_point: &str) -> String {
        self.address(charge_point, "monitor")
    }

    /// For a driver of this network: `driver` and the flags that name central and Kafka.
    pub fn driver(&self, more: &[&str]) -> Vec<String> {
        let own = ["driver", "--central", self.central.as_str()];
        let mut flags: Vec<String> = own.iter().chain(more).map(ToString::to_string).collect();
        flags.extend(self.broker.flags());
        flags
    }

    fn address(&self, charge_point: &str, of: &str) -> String {
        let line = self.process.line(&[charge_point, "engine ", "monitor "], PATIENCE);
        let mut words = line.split_whitespace().skip_while(|word| *word != of);
        words.nth(1).expect("an address follows").to_owned()
    }
}

fn last_word(line: &str) -> String {
    line.split_whitespace().last().expect("it has a word").to_owned()
}
