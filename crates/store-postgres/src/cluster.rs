//! A private PostgreSQL from the installed binaries: its own folder, a unix socket, no network.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The oldest PostgreSQL that Adelie works with.
const OLDEST: u32 = 14;

/// Why a private PostgreSQL did not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is none on this machine.
    #[error(
        "no PostgreSQL {OLDEST} or later was found in /usr/lib/postgresql/*/bin or on the PATH: install it \
         with `apt-get install postgresql` (it need not run)"
    )]
    NotInstalled,
    /// PostgreSQL refuses to run as root, and there is nobody else.
    #[error(
        "PostgreSQL does not run as root and there is no user `postgres` to run it as: install it with \
         `apt-get install postgresql`, which makes one, or run as another user"
    )]
    NoUser,
    /// One of its programs said no.
    #[error("`{program}` failed: {said}")]
    Failed {
        /// Which program.
        program: String,
        /// What it printed, and the end of the server's log.
        said: String,
    },
    /// Files or processes.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Whether what is committed survives a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It does not: for tests.
    Fast,
    /// As PostgreSQL is installed: for benchmarks.
    Real,
}

/// A running PostgreSQL. It stops and its folder is removed when this is dropped, and also when the process
/// ends in any other way, so that it may stand in a `static`.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    sockets: PathBuf,
    user: Option<(u32, u32)>,
    databases: AtomicU32,
    /// A shell that waits for the end of our side of its standard input, then stops PostgreSQL.
    watcher: Child,
}

impl Cluster {
    /// Starts one for tests.
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing.
    pub fn start() -> Result<Self, ClusterError> {
        Self::start_with(Durability::Fast)
    }

    /// Starts one with a given durability.
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing.
    pub fn start_with(durability: Durability) -> Result<Self, ClusterError> {
        let bin = find()?;
        let folder = folder()?;
        let owner = fs::metadata(folder.path()).map_err(io("look at the folder of the database"))?.uid();
        let user = if owner == 0 { Some(user_postgres()?) } else { None };
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).map_err(io("give the folder to user postgres"))?;
        }
        // From here on the watcher removes the folder, whatever becomes of us.
        let watcher = watch(&bin, folder.path(), user)?;
        let folder = folder.keep();
        let cluster = Self { bin, sockets: folder.join("s"), user, databases: AtomicU32::new(0), watcher };
        cluster.initialize(&folder, durability)?;
        Ok(cluster)
    }

    /// Makes an empty database and returns its URL.
    ///
    /// # Errors
    /// [`ClusterError::Failed`] when PostgreSQL says no.
    pub fn new_database(&self) -> Result<String, ClusterError> {
        let name = format!("adelie_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        self.run("createdb", &["-h", &self.sockets.display().to_string(), "-U", "postgres", &name])?;
        Ok(self.url(&name))
    }

    /// The URL of a database of this name, whether it exists or not.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.sockets.display())
    }

    fn initialize(&self, folder: &Path, durability: Durability) -> Result<(), ClusterError> {
        let data = folder.join("data");
        let data_text = data.display().to_string();
        let initdb = ["-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-D", &data_text];
        self.run("initdb", &initdb)?;
        self.run_raw(Command::new("mkdir").arg(&self.sockets))?;
        let mut settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nmax_connections = 300\n\
             shared_buffers = '256MB'\nmax_wal_size = '4GB'\n",
            self.sockets.display()
        );
        if durability == Durability::Fast {
            settings.push_str("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n");
        }
        let file = data.join("postgresql.auto.conf");
        fs::write(file, settings).map_err(io("write the settings of the database"))?;
        let log = folder.join("log").display().to_string();
        let started = self.run("pg_ctl", &["start", "-w", "-t", "60", "-s", "-D", &data_text, "-l", &log]);
        started.map_err(|error| match error {
            ClusterError::Failed { program, said } => {
                let log = fs::read_to_string(&log).unwrap_or_default();
                ClusterError::Failed { program, said: format!("{said}\n{log}") }
            }
            other => other,
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), ClusterError> {
        self.run_raw(Command::new(self.bin.join(program)).args(arguments))
    }

    fn run_raw(&self, command: &mut Command) -> Result<(), ClusterError> {
        let program = command.get_program().to_string_lossy().into_owned();
        // Not through pipes: the server that `pg_ctl` starts would hold them open for ever.
        let output = tempfile::tempfile().map_err(io("make a temporary file"))?;
        let copy = |output: &fs::File| output.try_clone().map_err(io("use a temporary file"));
        command.stdin(Stdio::null()).stdout(copy(&output)?).stderr(copy(&output)?);
        let status = as_user(command, self.user).status().map_err(io(&format!("run `{program}`")))?;
        if status.success() {
            return Ok(());
        }
        let said = read_all(output).unwrap_or_else(|error| error.to_string());
        Err(ClusterError::Failed { program, said: format!("{status}\n{said}") })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // Nothing can be done about a watcher that was killed.
        let _ended = self.watcher.wait();
    }
}

/// Starts the shell that ends everything when its standard input ends. It has a process group of its own,
/// so that an interrupt from the keyboard does not end it first.
fn watch(bin: &Path, folder: &Path, user: Option<(u32, u32)>) -> Result<Child, ClusterError> {
    let script = "read -r _; \"$0\" stop -m immediate -w -s -D \"$1/data\"; rm -rf \"$1\"";
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .arg(bin.join("pg_ctl"))
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    as_user(&mut command, user).spawn().map_err(io("start the watcher of the database"))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    // The folder that we stand in may be closed to that user.
    command.current_dir("/");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// A folder with a short name, because the path of a unix socket has a limit of about 100 bytes, at a place
/// that other users may enter.
fn folder() -> Result<tempfile::TempDir, ClusterError> {
    let folder = tempfile::Builder::new()
        .prefix("adelie-pg-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in("/tmp");
    folder.map_err(io("make a folder in /tmp"))
}

/// The folder with the programs of the newest PostgreSQL.
fn find() -> Result<PathBuf, ClusterError> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            (version >= OLDEST && complete(&bin)).then_some((version, bin))
        })
        .max();
    if let Some((_, bin)) = newest {
        return Ok(bin);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|bin| complete(bin) && version(bin).is_some_and(|version| version >= OLDEST))
        .ok_or(ClusterError::NotInstalled)
}

fn complete(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "createdb"].iter().all(|program| bin.join(program).is_file())
}

/// From a line like `initdb (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)`.
fn version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("initdb")).arg("--version").output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = line.split_whitespace().nth(2)?;
    version.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

fn user_postgres() -> Result<(u32, u32), ClusterError> {
    let users = fs::read_to_string("/etc/passwd").map_err(io("read /etc/passwd"))?;
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields
        .filter(|fields| fields.first() == Some(&"postgres"))
        .find_map(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?)))
        .ok_or(ClusterError::NoUser)
}

fn read_all(mut file: fs::File) -> std::io::Result<String> {
    use std::io::{Read, Seek};
    let mut text = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn io(doing: &str) -> impl FnOnce(std::io::Error) -> ClusterError {
    let doing = doing.to_owned();
    move |source| ClusterError::Io { doing, source }
}
