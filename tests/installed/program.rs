//! Programs: found, started, listened to, waited for, and ended with all that they started.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up: long, as the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command of an installed program. A test that needs it fails where it is not, and says how to come by it.
pub(crate) fn installed(program: &str, package: &str) -> Command {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // Servers are where only an administrator's shell looks.
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let mut paths = folders.map(|folder| folder.join(program));
    let found: Option<PathBuf> = paths.find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| panic!("there is no {program} here: apt-get install {package}")))
}

/// Asks again and again, until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a program to its end, which has to be a good one, and returns what it has printed.
pub(crate) fn printed(command: &mut Command) -> String {
    Program::start(command).printed()
}

/// A port that was free a moment ago, and that no other test here is given.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

/// A folder for a program's files; it goes with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        // Ports are given once in this process.
        let name = format!("equipoise-{}-{}", std::process::id(), free_port());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A running program. Dropped, it is killed with all processes that it started; and so it is if the test is killed.
pub(crate) struct Program {
    name: String,
    child: Child,
    /// Waits for the end of its stdin, whose other end only this test holds, and then kills the program's group.
    guard: Child,
    /// What the program writes to stdout and stderr.
    words: [Words; 2],
}

impl Program {
    /// Starts a program, in a process group of its own.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut program = Self::spawn(command.stdin(Stdio::null()));
        program.words[0] = Words::of(program.child.stdout.take().unwrap());
        program
    }

    /// Starts a program that reads from the test, and whose stdout the test reads itself.
    pub(crate) fn start_piped(command: &mut Command) -> (Self, ChildStdin, ChildStdout) {
        let mut program = Self::spawn(command.stdin(Stdio::piped()));
        let (stdin, stdout) = (program.child.stdin.take(), program.child.stdout.take());
        (program, stdin.unwrap(), stdout.unwrap())
    }

    fn spawn(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let guard = Command::new("sh")
            .args(["-c", "read -r _; kill -s KILL -- -$0", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal ends the test's group, and must not end this one first.
            .process_group(0)
            .spawn()
            .unwrap();
        let words = [Words::of(io::empty()), Words::of(child.stderr.take().unwrap())];
        let name = command.get_program().to_string_lossy().into_owned();
        Self {
            name,
            child,
            guard,
            words,
        }
    }

    /// Starts a server on a free port, and waits until it answers there.
    pub(crate) fn serve(mut command: impl FnMut(u16) -> Command) -> (Self, u16) {
        // Once in a while another program takes the port first.
        for _ in 0..3 {
            let port = free_port();
            let mut program = Self::start(&mut command(port));
            let is_up = until("a server answers, or ends", || {
                let is_up = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
                (is_up || !program.is_running()).then_some(is_up)
            });
            if is_up && program.is_running() {
                return (program, port);
            }
            let output = program.output();
            eprintln!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
        }
        panic!("the server has ended, and said why above");
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.words[0].so_far()
    }

    /// What it has complained of so far.
    pub(crate) fn stderr(&self) -> String {
        self.words[1].so_far()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process().to_string();
        let mut command = Command::new("sh");
        let sent = command.args(["-c", "kill -s $0 $1", signal, &process]).status();
        assert!(
            sent.unwrap().success(),
            "{} is not there to be told {signal}",
            self.name
        );
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// How it ends by itself, and all that it has written.
    pub(crate) fn output(mut self) -> Output {
        let status = until(&format!("{} ends", self.name), || self.child.try_wait().unwrap());
        // What it started may still hold the other ends of the pipes.
        self.kill();
        let [stdout, stderr] = self.words.each_mut().map(Words::all);
        Output { status, stdout, stderr }
    }

    /// What it has printed when it has ended well.
    pub(crate) fn printed(self) -> String {
        let name = self.name.clone();
        let output = self.output();
        assert!(output.status.success(), "{name}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn kill(&mut self) {
        drop(self.guard.stdin.take());
        self.guard.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        // Should the guard have failed: nothing here may wait for ever.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// What a program writes, read as it comes.
struct Words {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Words {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut part = vec![0; 64 * 1024];
            loop {
                match pipe.read(&mut part).unwrap() {
                    0 => return,
                    count => kept.lock().unwrap().extend_from_slice(&part[..count]),
                }
            }
        });
        let reader = Some(reader);
        Self { bytes, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// All of it, once nobody can write any more.
    fn all(&mut self) -> Vec<u8> {
        self.reader.take().into_iter().for_each(|reader| reader.join().unwrap());
        std::mem::take(&mut self.bytes.lock().unwrap())
    }
}
