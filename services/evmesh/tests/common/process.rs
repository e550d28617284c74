//! A process of the executable, and what it says.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};
use tempfile::TempDir;

/// A command of the executable, with nothing of this shell's `EVMESH_` variables.
pub fn command<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = mesh::process::command(env!("CARGO_BIN_EXE_evmesh"));
    let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
    command.args(arguments).stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

/// What a command that ends by itself gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Its exit code, and what it says beside its output but for that it waits: on a busy machine an answer may take
    /// more than a second, which is said then.
    pub fn outcome(&self) -> (i32, String) {
        let is_said = |line: &&str| !line.starts_with("evmesh: waiting for ");
        (self.code, self.stderr.lines().filter(is_said).collect())
    }
}

/// Runs a command to its end.
pub fn run<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Run {
    Run::of(command(arguments).output().expect("the executable starts"))
}

/// The same with something to read.
pub fn run_with_stdin<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>, text: &str) -> Run {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the executable starts");
    // One that refuses before it reads has gone.
    let _ = child.stdin.take().expect("it reads").write_all(text.as_bytes());
    Run::of(child.wait_with_output().expect("it ends"))
}

impl Run {
    fn of(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it is text");
        Self { code: code(status), stdout: text(stdout), stderr: text(stderr) }
    }

    /// The JSON on stdout of a command that succeeded.
    pub fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// -1 after a signal.
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A process that runs until it is told to end; killed when the test drops it.
pub struct Process {
    name: String,
    child: Child,
    said: Arc<Said>,
    /// Where it puts what it would remove itself if it were not killed.
    temporary: TempDir,
}

/// The lines of both outputs, as they come.
#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// Outputs that ended.
    ended: usize,
}

impl Process {
    /// Starts it.
    pub fn start<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments: Vec<String> = arguments.into_iter().map(|one| one.as_ref().to_owned()).collect();
        Self::spawn(command(&arguments), arguments.join(" "))
    }

    /// Starts it where the system allows it so many open files, which it has to ask for.
    pub fn start_with_files(files: u32, arguments: &[String]) -> Self {
        let limits = format!("ulimit -Sn 64 && ulimit -Hn {files} && exec \"$0\" \"$@\"");
        let mut shell = mesh::process::command("sh");
        shell.args(["-c", &limits, env!("CARGO_BIN_EXE_evmesh")]).args(arguments);
        shell.stdin(Stdio::null()).env("NO_COLOR", "1");
        Self::spawn(shell, arguments.join(" "))
    }

    fn spawn(mut command: Command, name: String) -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("TMPDIR", temporary.path());
        let mut child = command.spawn().expect("the executable starts");
        let said = Arc::new(Said::default());
        collect(child.stdout.take().expect("piped"), said.clone());
        collect(child.stderr.take().expect("piped"), said.clone());
        Self { name, child, said, temporary }
    }

    /// Waits for a line that contains all of these texts, and returns it. It fails when the process ends, or the time
    /// is over, without it.
    pub fn line(&self, texts: &[&str], within: Duration) -> String {
        self.find(texts, within).unwrap_or_else(|why| {
            panic!("'evmesh {}' {why} without a line with {texts:?}; it said:\n{}", self.name, self.text())
        })
    }

    fn find(&self, texts: &[&str], within: Duration) -> Result<String, &'static str> {
        let deadline = mesh::now().mono + within;
        let mut lines = self.said.lines.lock().expect("no reader panics");
        let mut seen = 0;
        loop {
            let fits = |line: &&String| texts.iter().all(|text| line.contains(text));
            if let Some(line) = lines.lines[seen..].iter().find(fits) {
                return Ok(line.clone());
            }
            seen = lines.lines.len();
            let left = deadline.since(mesh::now().mono);
            if lines.ended == 2 {
                return Err("ended");
            }
            if left.is_zero() {
                return Err("went on");
            }
            lines = self.said.more.wait_timeout(lines, left).expect("no reader panics").0;
        }
    }

    /// All that it said so far.
    pub fn text(&self) -> String {
        self.said.lines.lock().expect("no reader panics").lines.join("\n")
    }

    /// How many lines so far contain the text.
    pub fn count(&self, text: &str) -> usize {
        let lines = self.said.lines.lock().expect("no reader panics");
        lines.lines.iter().filter(|line| line.contains(text)).count()
    }

    /// Asks it to stop: SIGTERM.
    pub fn terminate(&self) {
        let signalled = mesh::process::signal(self.child.id(), "TERM");
        assert!(signalled, "'evmesh {}' cannot be signalled", self.name);
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits for its end, and gives the exit code. It fails when the time is over.
    pub fn end(&mut self, within: Duration) -> i32 {
        let deadline = mesh::now().mono + within;
        let mut lines = self.said.lines.lock().expect("no reader panics");
        while lines.ended < 2 {
            let left = deadline.since(mesh::now().mono);
            assert!(
                !left.is_zero(),
                "'evmesh {}' does not end; it said:\n{}",
                self.name,
                lines.lines.join("\n")
            );
            lines = self.said.more.wait_timeout(lines, left).expect("no reader panics").0;
        }
        drop(lines);
        code(self.child.wait().expect("it can be waited for"))
    }

    /// How many things it has where what is temporary goes.
    pub fn temporaries(&self) -> usize {
        std::fs::read_dir(self.temporary.path()).expect("it is there").count()
    }

    /// Where that is.
    pub fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// By what the system knows it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many files the system lets it have open.
    pub fn files_allowed(&self) -> u64 {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", self.child.id())).expect("it runs");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
        line.split_whitespace().nth(3).and_then(|soft| soft.parse().ok()).expect("a number")
    }

    /// Is it still there?
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- 'evmesh {}' said:\n{}\n---", self.name, self.text());
        }
    }
}

fn collect(output: impl Read + Send + 'static, said: Arc<Said>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { break };
            let mut lines = said.lines.lock().expect("no reader panics");
            lines.lines.push(String::from_utf8_lossy(&line).into_owned());
            said.more.notify_all();
        }
        said.lines.lock().expect("no reader panics").ended += 1;
        said.more.notify_all();
    });
}
