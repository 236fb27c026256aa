use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A PostgreSQL that was stopped under the program, as for an update or by a crash of its machine.
pub struct Outage {
    bin: PathBuf,
    folder: PathBuf,
}

impl Outage {
    /// Stops the private PostgreSQL behind a URL without letting anybody finish. It must not be the one that the other
    /// tests use.
    pub fn begin(url: &str) -> Self {
        let (_, sockets) = url.split_once("?host=").expect("the place of the sockets in the URL");
        let folder = Path::new(sockets).parent().expect("the folder of the cluster").to_owned();
        let pid = fs::read_to_string(folder.join("data/postmaster.pid")).expect("a running PostgreSQL");
        let pid = pid.lines().next().expect("its number").trim().to_owned();
        let program = fs::read_link(format!("/proc/{pid}/exe")).expect("its program");
        let outage = Self { bin: program.parent().expect("its folder").to_owned(), folder };
        outage.pg_ctl(&["stop", "-m", "immediate"]);
        outage
    }

    /// Starts it again, which recovers what was committed.
    pub fn end(self) {
        let log = self.folder.join("log").display().to_string();
        self.pg_ctl(&["start", "-t", "60", "-l", &log]);
    }

    fn pg_ctl(&self, args: &[&str]) {
        let data = self.folder.join("data");
        let owner = fs::metadata(&data).expect("the data of the cluster");
        let mut command = Command::new(self.bin.join("pg_ctl"));
        command.args(args).args(["-w", "-s", "-D"]).arg(&data).current_dir("/");
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() != owner.uid()) {
            command.uid(owner.uid()).gid(owner.gid());
        }
        // Not through pipes: the server that it starts would hold them open for ever.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().expect("the program `pg_ctl`");
        assert!(status.success(), "`pg_ctl {}` ended with {status}", args.join(" "));
    }
}
