//! Servers that are shown a password and tell it to the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

/// A server on this machine that serves one peer.
pub struct Peer {
    pub port: u16,
    password: JoinHandle<Option<String>>,
}

impl Peer {
    fn start(serve: fn(TcpStream) -> std::io::Result<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let password = std::thread::spawn(move || {
            let (stream, _) = listener.accept().ok()?;
            serve(stream).ok()
        });
        Self { port, password }
    }

    /// A PostgreSQL that asks for the password in plain text, and refuses it.
    pub fn database() -> Self {
        Self::start(database)
    }

    /// A proxy that lets nobody through.
    pub fn proxy() -> Self {
        Self::start(proxy)
    }

    /// What it was shown.
    pub fn password(self) -> String {
        self.password.join().expect("no panic").expect("somebody came and showed a password")
    }
}

fn database(mut stream: TcpStream) -> std::io::Result<String> {
    loop {
        let start = message(&mut stream)?;
        // The request for TLS has this number instead of a version.
        if start.starts_with(&80_877_103_u32.to_be_bytes()) {
            stream.write_all(b"N")?;
            continue;
        }
        break;
    }
    stream.write_all(b"R\0\0\0\x08\0\0\0\x03")?;
    stream.read_exact(&mut [0])?;
    let password = String::from_utf8_lossy(&message(&mut stream)?).trim_end_matches('\0').to_owned();
    let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"adelie\"\0\0";
    let length = u32::try_from(fields.len() + 4).expect("a short message");
    stream.write_all(&[b"E".as_slice(), &length.to_be_bytes(), fields].concat())?;
    Ok(password)
}

/// A message without its type: a length that counts itself, and the rest.
fn message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut rest = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    stream.read_exact(&mut rest)?;
    Ok(rest)
}

fn proxy(stream: TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut shown, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(": Basic ")
            && name.eq_ignore_ascii_case("proxy-authorization")
        {
            let decoded = openssl::base64::decode_block(value.trim()).unwrap_or_default();
            shown = String::from_utf8_lossy(&decoded).trim_end_matches('\0').to_owned();
        }
        line.clear();
    }
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(shown)
}
