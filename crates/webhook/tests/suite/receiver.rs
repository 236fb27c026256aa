//! A receiver that answers as it was told, byte by byte, and counts who came.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with each post.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Writes this and waits for the next post on the same connection.
    Say(String),
    /// Writes this and breaks the connection with a reset.
    SayAndReset(String),
    /// Writes this and never anything more.
    SayAndHang(String),
    /// Writes the first once and the second for ever.
    Endless(String, String),
    /// Writes the first once and a byte of a body every 20 ms.
    Drip(String),
    /// Closes each connection before it has read anything.
    Slam,
    /// Writes this before it has read anything, and closes.
    Blurt(String),
}

/// One post as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub head: String,
    pub body: Bytes,
}

impl Received {
    pub fn headers(&self) -> HeaderMap {
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        self.head.lines().filter_map(pair).collect()
    }
}

/// A running receiver; it ends with the test.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    pub connections: Arc<AtomicUsize>,
    pub received: Arc<Mutex<Vec<Received>>>,
    /// Posts that are being answered, and the most that were at once.
    busy: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Receiver {
    /// Listens on an address; port 0 chooses one.
    pub async fn start(address: &str, manner: Manner) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            connections: Arc::default(),
            received: Arc::default(),
            busy: Arc::default(),
            most: Arc::default(),
        };
        let own = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                own.connections.fetch_add(1, Ordering::SeqCst);
                let (own, manner) = (own.clone(), manner.clone());
                // A sender that goes away in the middle is what is tested.
                tokio::spawn(async move { own.serve(stream, manner).await.ok() });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    pub fn posts(&self) -> Vec<Received> {
        self.received.lock().expect("no panic").clone()
    }

    async fn serve(&self, mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
        if matches!(manner, Manner::Slam) {
            return stream.set_zero_linger();
        }
        if let Manner::Blurt(text) = manner {
            return stream.write_all(text.as_bytes()).await;
        }
        while let Some(post) = read(&mut stream).await? {
            self.received.lock().expect("no panic").push(post);
            match &manner {
                Manner::Say(text) => {
                    let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
                    self.most.fetch_max(busy, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    self.busy.fetch_sub(1, Ordering::SeqCst);
                    stream.write_all(text.as_bytes()).await?;
                }
                Manner::SayAndReset(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    stream.flush().await?;
                    // What was written must be there before the reset, which would overtake it.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    return stream.set_zero_linger();
                }
                Manner::SayAndHang(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    std::future::pending::<()>().await;
                }
                Manner::Endless(start, more) => {
                    stream.write_all(start.as_bytes()).await?;
                    loop {
                        stream.write_all(more.as_bytes()).await?;
                    }
                }
                Manner::Drip(start) => {
                    stream.write_all(start.as_bytes()).await?;
                    loop {
                        stream.write_all(b"x").await?;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
                Manner::Slam | Manner::Blurt(_) => {}
            }
        }
        Ok(())
    }
}

/// One post with a `content-length`; nothing when the connection is closed.
async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Received>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or("0", str::trim);
    let whole = head + length.parse::<usize>().expect("a number");
    while bytes.len() < whole {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Received { head: text, body: Bytes::copy_from_slice(&bytes[head..whole]) }))
}
