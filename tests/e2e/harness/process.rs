use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::DEADLINE;

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_adelie");

/// A run of the binary that has ended.
#[derive(Clone, Debug)]
pub struct Run {
    pub line: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Fails with the whole transcript unless the program ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code of\n{self}");
        self
    }

    /// The one JSON object that was printed.
    #[track_caller]
    pub fn object(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "one object was expected of\n{self}");
        objects.remove(0)
    }

    /// The JSON objects that were printed, one on each line.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(value) if value.is_object() => value,
            other => panic!("{line:?} is no JSON object ({other:?}) in\n{self}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Fails unless stderr has this text.
    #[track_caller]
    pub fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not on stderr of\n{self}");
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("killed".to_owned(), |code| code.to_string());
        write!(f, "$ {}\n[exit {code}]\n--- stdout\n{}\n--- stderr\n{}", self.line, self.stdout, self.stderr)
    }
}

/// A run of the binary that may still go on. It is killed when it goes out of scope.
pub struct Background {
    line: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Background {
    /// Starts the binary with nothing in its environment but what is given.
    pub fn start(home: &Path, env: &[(String, String)], args: &[&str]) -> Self {
        Self::fed(home, env, args, Stdio::null())
    }

    /// As [`Background::start`], with something on its standard input.
    pub fn fed(home: &Path, env: &[(String, String)], args: &[&str], input: Stdio) -> Self {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Self::spawn(command, format!("adelie {}", args.join(" ")), home, env, input)
    }

    /// Starts the binary in a terminal of its own, by the program `script`; everything that it prints comes to stdout.
    pub fn terminal(home: &Path, env: &[(String, String)], args: &[&str]) -> (Self, ChildStdin) {
        let line = args.iter().map(|arg| format!("'{arg}'")).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("exec '{BINARY}' {line}"), "/dev/null"]).env_clear();
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "dumb")
            .env("SHELL", "/bin/sh");
        let mut terminal =
            Self::spawn(command, format!("adelie {}", args.join(" ")), home, env, Stdio::piped());
        let keyboard = terminal.child.stdin.take().expect("a pipe");
        (terminal, keyboard)
    }

    /// Starts a shell in which the binary is found as `adelie`. The shell stops at the first command that fails.
    pub fn shell(home: &Path, env: &[(String, String)], script: &str) -> Self {
        let folder = Path::new(BINARY).parent().expect("a folder").to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&others)));
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", script]).env_clear().env("PATH", path.expect("a search path"));
        Self::spawn(command, script.to_owned(), home, env, Stdio::null())
    }

    fn spawn(
        mut command: Command,
        line: String,
        home: &Path,
        env: &[(String, String)],
        input: Stdio,
    ) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let outputs = home.join("outputs");
        std::fs::create_dir_all(&outputs).expect("a folder for outputs");
        // Files, because a pipe that nobody reads would stop the program.
        let stdout = outputs.join(format!("{number}.out"));
        let stderr = outputs.join(format!("{number}.err"));
        std::fs::write(outputs.join(format!("{number}.line")), &line).expect("a file");
        let child = command
            .env("HOME", home)
            .envs(env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .current_dir(home)
            .stdin(input)
            .stdout(File::create(&stdout).expect("a file"))
            .stderr(File::create(&stderr).expect("a file"))
            .spawn()
            .expect("it starts");
        Self { line, child, stdout, stderr }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.child.kill());
        self.child.wait().expect("its end");
    }

    /// Asks it to end, as systemd does.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Lets it stand still at whatever line it is, as a frozen machine does.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("the command `kill`").success(), "SIG{name} could not be sent");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// What it has written to stderr up to now.
    pub fn log(&self) -> String {
        self.so_far(None).stderr
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Run {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                break status;
            }
            if began.elapsed() > DEADLINE {
                self.kill();
                panic!("it never ended:\n{}", self.so_far(None));
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        self.so_far(Some(status))
    }

    /// What it has printed up to now.
    pub fn so_far(&self, status: Option<ExitStatus>) -> Run {
        let read = |path| String::from_utf8_lossy(&std::fs::read(path).expect("an output")).into_owned();
        Run {
            line: self.line.clone(),
            code: status.and_then(|status| status.code()),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}
