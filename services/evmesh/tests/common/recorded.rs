//! A network of separate processes, with identities or without, each connection of which is recorded: one charge, from
//! its request to its ticket, and the desks of its driver and its operator.

use super::{
    PATIENCE, Process, Run, broker::Broker, eventually, free_address, process::run_with_stdin,
    recorder::Recorder, run,
};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Names that nothing else has.
pub const DRIVER: &str = "grace-7c31";
pub const POINT: &str = "ALC-77";

/// What a role is told besides, so that all is said that it ever says.
const LOUD: [&str; 2] = ["--log", "debug"];

pub struct Recorded {
    pub folder: TempDir,
    pub broker: Broker,
    pub secured: bool,
    /// The session of the one charge, once it was made.
    pub session: String,
    /// The tokens by which somebody was enrolled.
    pub enrolment_tokens: Vec<String>,
    pub recorders: BTreeMap<&'static str, Recorder>,
    pub processes: Vec<Process>,
    metrics: Vec<String>,
    /// What commands said that ended, but for what it is one's business to say.
    said: Vec<String>,
    at: BTreeMap<&'static str, String>,
}

impl Recorded {
    /// A network with these flags more for each role that speaks with Kafka, in which one charge was made.
    pub fn charged(secured: bool, more: &[&str]) -> Self {
        let broker = Broker::open();
        let at: BTreeMap<_, _> =
            ["central", "engine", "monitor", "registry"].map(|role| (role, free_address())).into();
        let mut recorders: BTreeMap<_, _> =
            ["central", "engine", "registry"].map(|role| (role, Recorder::before(&at[role]))).into();
        recorders.insert("kafka", Recorder::before_broker(&broker.options().kafka));
        let (folder, session) = (tempfile::tempdir().expect("a folder"), String::new());
        let mut network = Self {
            folder,
            broker,
            secured,
            session,
            enrolment_tokens: Vec::new(),
            recorders,
            processes: Vec::new(),
            metrics: Vec::new(),
            said: Vec::new(),
            at,
        };
        network.start(more);
        network.charge(more);
        network
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Where the others reach it.
    fn way(&self, role: &str) -> &str {
        &self.recorders[role].address
    }

    fn kafka(&self, more: &[&str]) -> Vec<String> {
        let prefix = self.broker.options().kafka_topic_prefix;
        let own = ["--kafka", self.way("kafka"), "--kafka-topic-prefix", &prefix];
        own.iter().chain(more).map(ToString::to_string).collect()
    }

    /// ` --identity` with that folder, where there are identities.
    fn as_who(&self, folder: &str) -> Vec<String> {
        if self.secured { vec!["--identity".into(), self.text(folder)] } else { Vec::new() }
    }

    fn tell(&mut self, ran: Run) -> Run {
        self.said.extend([ran.stdout.clone(), ran.stderr.clone()]);
        ran
    }

    /// Who is to be enrolled in a folder of that name.
    fn enrol(&mut self, role: &str, folder: &str) {
        let registry = self.way("registry").to_owned();
        let admin = self.text("registry/identities/admin");
        let made = run(["registry", "token", role, "--registry", &registry, "--identity", &admin]);
        assert_eq!(made.code, 0, "{made:?}");
        let token = made.stdout.trim().to_owned();
        let enrolled = run_with_stdin(["enrol", "-", "--identity", &self.text(folder)], &token);
        assert_eq!(enrolled.code, 0, "{enrolled:?}");
        self.enrolment_tokens.push(token);
        self.said.push(made.stderr);
        self.tell(enrolled);
    }

    fn role(&mut self, role: &'static str, own: &[&str], more: Vec<String>) {
        let metrics = free_address();
        let all = [&[role], own, &LOUD, &["--metrics-address", &metrics]].concat();
        let flags = all.into_iter().map(str::to_owned).chain(more).collect::<Vec<_>>();
        self.processes.push(Process::start(flags));
        self.metrics.push(metrics);
    }

    fn start(&mut self, more: &[&str]) {
        let mut of_central = Vec::new();
        if self.secured {
            let data = self.text("registry");
            let made = run(["registry", "init", "--trust-domain", "clear.example", "--data", &data]);
            assert_eq!(self.tell(made).code, 0);
            let (listen, way) = (self.at["registry"].clone(), self.way("registry").to_owned());
            let own = ["run", "--data", &data, "--listen", &listen, "--advertise", &way];
            self.role("registry", &own, Vec::new());
            self.processes[0].line(&["registry ready"], PATIENCE);
            for (role, folder) in [
                (format!("charge-point/{POINT}/engine"), "engine-identity"),
                (format!("charge-point/{POINT}/monitor"), "monitor-identity"),
                (format!("driver/{DRIVER}"), "driver-identity"),
            ] {
                self.enrol(&role, folder);
            }
            let to = self.text("driver-token");
            let made = run(["registry", "driver-token", DRIVER, "--data", &data, "--to", &to]);
            assert_eq!(self.tell(made).code, 0);
            let keys = run(["registry", "token-keys", "--data", &data]);
            fs::write(self.path("token-keys.json"), &keys.stdout).expect("the test's own folder");
            self.said.extend([keys.stdout, keys.stderr]);
            of_central = vec!["--registry".into(), way, "--token-keys".into(), self.text("token-keys.json")];
        }
        let [central, engine, monitor] = ["central", "engine", "monitor"].map(|role| self.at[role].clone());
        let [of_central_data, of_engine_data] = ["central", "engine"].map(|name| self.text(name));
        let [to_central, to_engine] = ["central", "engine"].map(|role| self.way(role).to_owned());
        let kafka = self.kafka(more);
        let own = ["--listen", &central, "--data", &of_central_data, "--charge-point-power-max", "500000"];
        let identity = self.as_who("registry/identities/central");
        self.role("central", &own, [of_central, identity, kafka.clone()].concat());
        let own = ["--charge-point", POINT, "--listen", &engine, "--data", &of_engine_data];
        let own = [&own[..], &["--central", &to_central, "--speed", "600"]].concat();
        self.role("engine", &own, [self.as_who("engine-identity"), kafka].concat());
        let own = ["--charge-point", POINT, "--listen", &monitor, "--central", &to_central];
        let own = [&own[..], &["--engine", &to_engine, "--engine-advertised", &to_engine]].concat();
        self.role("monitor", &own, self.as_who("monitor-identity"));
        eventually("the charge point is free", PATIENCE, || {
            let free = self.operator(&["status", "--output", "json"]);
            free.stdout.contains("ACTIVADO").then_some(())
        });
    }

    fn operator(&mut self, words: &[&str]) -> Run {
        let central = self.way("central").to_owned();
        let own = [&["operator"], words, &["--central", &central]].concat();
        let own = own.into_iter().map(str::to_owned);
        let ran = run(own.chain(self.as_who("registry/identities/admin")).collect::<Vec<_>>());
        self.tell(ran)
    }

    fn charge(&mut self, more: &[&str]) {
        let central = self.way("central").to_owned();
        let own = ["driver", "--driver", DRIVER, "--charge-point", POINT, "--central", &central, "--plain"];
        let own = own.iter().chain(&LOUD).map(ToString::to_string);
        let app = own.chain(self.as_who("driver-identity")).chain(self.kafka(more)).collect::<Vec<_>>();
        let app = run(app);
        assert_eq!(app.code, 0, "{app:?}");
        assert!(app.stdout.contains(" kW  ") && app.stdout.contains("ticket: "), "live, to the end: {app:?}");
        self.tell(app);
        // By a token, where there are any.
        let own = ["driver", "tickets", "--driver", DRIVER, "--central", &central].map(str::to_owned);
        let tickets = run(own.into_iter().chain(self.as_who("driver-token")).collect::<Vec<_>>());
        assert!(tickets.code == 0 && tickets.stdout.contains(POINT), "{tickets:?}");
        self.tell(tickets);
        let tickets = self.operator(&["tickets", "--output", "json"]).json();
        self.session = tickets[0]["session_id"].as_str().expect("one charge").to_owned();
        let kafka = &self.recorders["kafka"];
        eventually("a broadcast", PATIENCE, || kafka.saw(b"NETWORK_STATUS_UPDATE").then_some(()));
    }

    /// What each metrics port, command line and environment says while all of it runs, by whose it is.
    pub fn shown(&self) -> Vec<(String, Vec<u8>)> {
        let mut shown = Vec::new();
        for (process, metrics) in self.processes.iter().zip(&self.metrics) {
            let mut page = Vec::new();
            let mut port = TcpStream::connect(metrics).expect("metrics are served");
            let get = format!("GET /metrics HTTP/1.1\r\nHost: {metrics}\r\nConnection: close\r\n\r\n");
            port.write_all(get.as_bytes()).and_then(|()| port.read_to_end(&mut page)).expect("an answer");
            assert!(contains_text(&page, "evmesh_"), "{}", String::from_utf8_lossy(&page));
            shown.push((format!("metrics at {metrics}"), page));
            for name in ["cmdline", "environ"] {
                let file = format!("/proc/{}/{name}", process.id());
                shown.push((file.clone(), fs::read(&file).expect("it runs")));
            }
        }
        shown
    }

    /// Stops all of it in order, and returns what was said meanwhile.
    pub fn stopped(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut said: Vec<_> =
            self.said.drain(..).map(|text| ("a command".to_owned(), text.into_bytes())).collect();
        for process in self.processes.iter_mut().rev() {
            process.terminate();
            assert_eq!(process.end(PATIENCE), 0, "{}", process.text());
            said.push((format!("process {}", process.id()), process.text().into_bytes()));
        }
        said
    }

    /// All that went over any connection, by whose server it is.
    pub fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let of = |(role, recorder): (&&str, &Recorder)| {
            let ways = recorder.ways().into_iter().enumerate();
            ways.map(|(number, way)| (format!("to or from {role}, {number}"), way)).collect::<Vec<_>>()
        };
        self.recorders.iter().flat_map(of).collect()
    }

    /// Every file of the network.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(self.folder.path(), &mut found);
        found
    }
}

fn contains_text(all: &[u8], text: &str) -> bool {
    super::recorder::contains(all, text.as_bytes())
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let bytes = fs::read(&path).expect("the test's own file");
            found.push((path, bytes));
        }
    }
}
