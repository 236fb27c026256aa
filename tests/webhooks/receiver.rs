//! A receiver that notes what it gets in a file, before it answers, and answers badly as often as it is told.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use adelie_model::{Entropy, SeededEntropy};
use anyhow::Context as _;
use clap::Args;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How it behaves.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where it listens
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where it notes what it gets: `MICROSECONDS PATH ID HASH ANSWER`, a line for each
    #[arg(long)]
    pub log: PathBuf,
    /// Answers of 5xx in a hundred
    #[arg(long, default_value_t = 0)]
    pub fail: u64,
    /// Resets in a hundred
    #[arg(long, default_value_t = 0)]
    pub reset: u64,
    /// Paths that contain this are never answered
    #[arg(long)]
    pub hang: Option<String>,
    /// Chooses which are answered badly
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

struct Receiver {
    options: Options,
    log: Mutex<File>,
    dice: SeededEntropy,
    number: AtomicU64,
}

/// What becomes of a post.
enum Answer {
    Good,
    Bad,
    Reset,
    Nothing,
}

/// Receives until it is killed.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let log =
        File::options().create(true).append(true).open(&options.log).context("the log cannot be opened")?;
    let socket = if options.listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The next one listens where this one was killed.
    socket.set_reuseaddr(true)?;
    socket.bind(options.listen)?;
    let listener: TcpListener = socket.listen(4096)?;
    let receiver = Arc::new(Receiver {
        options: options.clone(),
        log: Mutex::new(log),
        dice: SeededEntropy::new(options.seed),
        number: AtomicU64::new(0),
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let receiver = Arc::clone(&receiver);
        // Whoever breaks off a connection has the harm.
        tokio::spawn(async move { receiver.serve(stream).await });
    }
}

impl Receiver {
    async fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        let (mut line, mut body) = (String::new(), Vec::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let at = micros();
            let path = line.split(' ').nth(1).unwrap_or("-").to_owned();
            let (mut length, mut id) = (0, String::new());
            loop {
                line.clear();
                stream.read_line(&mut line).await?;
                let Some((name, value)) = line.trim_end().split_once(": ") else { break };
                match name {
                    "content-length" => length = value.parse()?,
                    "webhook-id" => value.clone_into(&mut id),
                    _ => {}
                }
            }
            body.resize(length, 0);
            stream.read_exact(&mut body).await?;
            let answer = self.decide(&path);
            let word = match answer {
                Answer::Good => "good",
                Answer::Bad => "bad",
                Answer::Reset => "reset",
                Answer::Nothing => "nothing",
            };
            self.note(&format!("{at} {path} {id} {:016x} {word}\n", hash(&body)))?;
            match answer {
                Answer::Good => stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?,
                Answer::Bad => {
                    let status = ["500 Error", "502 Bad", "503 Busy", "507 Full"];
                    let number = usize::try_from(self.number.fetch_add(1, Ordering::Relaxed) % 4)?;
                    // Of those that slow an endpoint down it says that it need not be.
                    let head =
                        format!("HTTP/1.1 {}\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n", status[number]);
                    stream.write_all(head.as_bytes()).await?;
                }
                Answer::Reset => {
                    stream.get_ref().set_zero_linger()?;
                    return Ok(());
                }
                Answer::Nothing => tokio::time::sleep(Duration::from_secs(600)).await,
            }
        }
    }

    fn decide(&self, path: &str) -> Answer {
        if self.options.hang.as_ref().is_some_and(|part| path.contains(part.as_str())) {
            return Answer::Nothing;
        }
        match self.dice.below(100) {
            roll if roll < self.options.fail => Answer::Bad,
            roll if roll < self.options.fail + self.options.reset => Answer::Reset,
            _ => Answer::Good,
        }
    }

    /// One write, so that a kill leaves whole lines.
    fn note(&self, line: &str) -> anyhow::Result<()> {
        let mut log = self.log.lock().map_err(|_| anyhow::anyhow!("a thread has panicked"))?;
        Ok(log.write_all(line.as_bytes())?)
    }
}

/// Microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// FNV-1a: enough to see that a body has not changed.
fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
