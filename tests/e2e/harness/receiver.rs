use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use adelie_model::Clock;
use adelie_webhook::{Secret, VerifyingKey, verify};
use serde_json::Value;

use super::apple::RealClock;
use super::{World, eventually, text};

/// A receiver of webhooks on this machine, which notes all that it gets and answers as it is told.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    posts: Vec<Post>,
    /// The answers to the next posts; then it is `usual`.
    next: VecDeque<Reply>,
    usual: Option<Reply>,
}

/// How a post is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With this status and these further header lines.
    Status(u16, &'static str),
    /// With this status, and a body that repeats the request.
    Echo(u16),
    /// Not at all: the connection stays open.
    Nothing,
}

/// What was posted.
#[derive(Clone, Debug)]
pub struct Post {
    pub headers: BTreeMap<String, String>,
    pub bytes: Vec<u8>,
    pub body: Value,
}

impl Post {
    /// The id that a receiver knows a repetition by.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The type of the event.
    pub fn kind(&self) -> &str {
        text(&self.body, "type")
    }

    /// Whether one of the secrets has signed it.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let secret: Secret = secret.parse().expect("a secret");
        let mut headers = axum::http::HeaderMap::new();
        for (name, value) in &self.headers {
            let name: axum::http::HeaderName = name.parse().expect("a name");
            headers.insert(name, value.parse().expect("a value"));
        }
        verify(&[VerifyingKey::from(&secret)], &headers, &self.bytes, RealClock.now()).is_ok()
    }
}

impl Receiver {
    /// Listens, and answers 204.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let receiver = Self { address, shared: Arc::clone(&shared) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        receiver
    }

    /// Where it is posted to.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers so from now on.
    pub fn answers(&self, reply: Reply) {
        self.shared().usual = Some(reply);
    }

    /// Answers the next post so.
    pub fn answers_next(&self, reply: Reply) {
        self.shared().next.push_back(reply);
    }

    /// All that was posted.
    pub fn posts(&self) -> Vec<Post> {
        self.shared().posts.clone()
    }

    /// All that was posted of a type.
    pub fn of(&self, kind: &str) -> Vec<Post> {
        self.posts().into_iter().filter(|post| post.kind() == kind).collect()
    }

    /// Waits until so many events of a type have come.
    #[track_caller]
    pub fn wait_for(&self, kind: &str, number: usize) -> Vec<Post> {
        eventually(&format!("{number} of {kind}"), || {
            Some(self.of(kind)).filter(|posts| posts.len() >= number)
        })
    }

    /// Forgets what was posted.
    pub fn forget(&self) {
        self.shared().posts.clear();
    }

    /// Adds it as an endpoint and gives what the command printed.
    #[track_caller]
    pub fn subscribe(&self, world: &World, options: &[&str]) -> Value {
        world.object(&[&["webhook", "add", &self.url()], options].concat())
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no thread panicked")
    }
}

/// Reads requests of one connection until it is closed.
fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut head = line.clone();
        loop {
            line.clear();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            head.push_str(&line);
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut bytes = vec![0; headers.get("content-length")?.parse().ok()?];
        reader.read_exact(&mut bytes).ok()?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        let reply = {
            let mut shared = shared.lock().ok()?;
            shared.posts.push(Post { headers, bytes: bytes.clone(), body });
            let next = shared.next.pop_front();
            next.or_else(|| shared.usual.clone()).unwrap_or(Reply::Status(204, ""))
        };
        match reply {
            Reply::Status(status, more) => {
                let head = format!("HTTP/1.1 {status} Reply\r\ncontent-length: 0\r\n{more}\r\n");
                stream.write_all(head.as_bytes()).ok()?;
            }
            Reply::Echo(status) => {
                let body = [head.as_bytes(), &bytes].concat();
                let head = format!("HTTP/1.1 {status} Reply\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
            }
            Reply::Nothing => std::thread::sleep(super::DEADLINE),
        }
    }
}
