//! How many pages of a thousand devices the simulator serves in a second.
//!
//! ```text
//! cargo run --release -p adelie-simulator --example pages_per_second -- [DEVICES] [CONNECTIONS] [PAGES]
//! ```
//!
//! Raw keep-alive connections walk the list and throw the bytes away, so the client costs little. Client and
//! server share the machine. Two rounds: the first renders every page, the second sends what is there.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use adelie_model::{Clock, ManualClock};
use adelie_simulator::{Settings, Simulator, TokenShape};
use oauth1_request::signature_method::HmacSha1;
use oauth1_request::{Builder, Credentials, ParameterList};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::cms::CmsContentInfo;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509Builder, X509NameBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let argument = |place, or: usize| std::env::args().nth(place).map_or(Ok(or), |text| text.parse());
    let (devices, connections, pages) = (argument(1, 1_000_000)?, argument(2, 4)?, argument(3, 10_000)?);

    let clock = ManualClock::new("2026-03-01T10:00:00Z".parse()?);
    let begin = Instant::now();
    let simulator = Simulator::new(Settings { devices, ..Settings::default() }, Arc::new(clock.clone()));
    println!("{devices} devices made in {:.2} s", begin.elapsed().as_secs_f64());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
    let session = open_session(&simulator, &clock, &host).await?;

    for round in ["rendered once", "from memory"] {
        let (left, bytes) = (Arc::new(AtomicUsize::new(pages)), Arc::new(AtomicUsize::new(0)));
        let begin = Instant::now();
        let walkers: Vec<_> = (0..connections)
            .map(|_| tokio::spawn(walk(host.clone(), session.clone(), Arc::clone(&left), Arc::clone(&bytes))))
            .collect();
        for walker in walkers {
            walker.await??;
        }
        let seconds = begin.elapsed().as_secs_f64();
        let megabytes = bytes.load(Ordering::Relaxed) as f64 / 1e6;
        println!(
            "{round}: {pages} pages over {connections} connections in {seconds:.2} s: {:.0} pages/s, {:.0} MB/s",
            pages as f64 / seconds,
            megabytes / seconds
        );
    }
    Ok(())
}

/// Walks the list from its beginning, again and again, until enough pages have been read.
async fn walk(host: String, session: String, left: Arc<AtomicUsize>, bytes: Arc<AtomicUsize>) -> Outcome<()> {
    let mut connection = Connection { stream: TcpStream::connect(&host).await?, buffer: vec![0; 1 << 20] };
    connection.stream.set_nodelay(true)?;
    let mut cursor: Option<String> = None;
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        let body = match &cursor {
            Some(cursor) => format!("{{\"limit\":1000,\"cursor\":\"{cursor}\"}}"),
            None => "{\"limit\":1000}".to_owned(),
        };
        let request = format!(
            "POST /server/devices HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1\r\nX-ADM-Auth-Session: {session}\r\n\
             X-Server-Protocol-Version: 10\r\nContent-Type: application/json;charset=UTF8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (length, tail) = connection.exchange(&request).await?;
        bytes.fetch_add(length, Ordering::Relaxed);
        let next = tail.split("\"cursor\":\"").nth(1).and_then(|rest| rest.split('"').next());
        let next = next.ok_or_else(|| format!("no cursor at the end of the page: {tail}"))?.to_owned();
        cursor = tail.contains("\"more_to_follow\":true").then_some(next);
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends a request; gives the length of the answer's body and its last bytes.
    async fn exchange(&mut self, request: &str) -> Outcome<(usize, String)> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        let (head, length) = loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            filled += read;
            if let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let length = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
                break (end + 4, length.ok_or("no content-length")?.trim().parse::<usize>()?);
            }
        };
        while filled < head + length {
            if head + length > self.buffer.len() {
                self.buffer.resize(head + length, 0);
            }
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            if read == 0 {
                return Err("the connection was closed".into());
            }
            filled += read;
        }
        let start = filled.saturating_sub(400).max(head);
        Ok((length, String::from_utf8_lossy(&self.buffer[start..filled]).into_owned()))
    }
}

/// Uploads a certificate, decrypts the token and opens a session with it.
async fn open_session(simulator: &Simulator, clock: &ManualClock, host: &str) -> Outcome<String> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut builder = X509Builder::new()?;
    builder.set_serial_number(&*BigNum::from_u32(77)?.to_asn1_integer()?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "bench")?;
    let name = name.build();
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    builder.set_pubkey(&key)?;
    builder.sign(&key, MessageDigest::sha256())?;
    let certificate = builder.build();
    let pem = String::from_utf8(certificate.to_pem()?)?;
    let file = simulator.issue_token("Lab", &pem, TokenShape::default())?;
    let text = String::from_utf8(CmsContentInfo::smime_read_cms(&file)?.decrypt(&key, &certificate)?)?;
    let token: serde_json::Value =
        serde_json::from_str(text.lines().find(|line| line.starts_with('{')).ok_or("no JSON in the token")?)?;
    let part = |name: &str| token[name].as_str().unwrap_or_default();
    let mut builder = Builder::<_, &str, &str>::new(
        Credentials::new(part("consumer_key"), part("consumer_secret")),
        HmacSha1::new(),
    );
    builder.token(Credentials::new(part("access_token"), part("access_secret"))).version(true).nonce("1");
    builder.timestamp(NonZeroU64::new(clock.now().timestamp().unsigned_abs()).ok_or("no time")?);
    let url = format!("http://{host}/session");
    let header = builder.authorize("GET", url, &ParameterList::new(Vec::<(String, String)>::new()));
    let mut connection = Connection { stream: TcpStream::connect(host).await?, buffer: vec![0; 1 << 16] };
    let request = format!(
        "GET /session HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1\r\nAuthorization: {header}\r\n\r\n"
    );
    let (_, answer) = tokio::time::timeout(Duration::from_secs(10), connection.exchange(&request)).await??;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    Ok(answer["auth_session_token"].as_str().ok_or("no session")?.to_owned())
}
