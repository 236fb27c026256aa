//! How many posts a second one sender makes to a receiver on the same machine, signing included.
//!
//! ```text
//! cargo run --release -p adelie-webhook --example posts_per_second -- [POSTS] [AT_ONCE]
//! ```

#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::sync::Arc;
use std::time::Instant;

use adelie_model::{Mask, SeededEntropy};
use adelie_webhook::{Post, Secret, Sender, SenderOptions, sign};
use bytes::Bytes;
use chrono::DateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let posts = arguments.next().transpose()?.unwrap_or(20_000);
    let at_once = arguments.next().transpose()?.unwrap_or(64);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url: Arc<str> = format!("http://{}/hook", listener.local_addr()?).into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A connection that breaks shows as a failed post.
            tokio::spawn(async move { answer(stream).await.ok() });
        }
    });

    let options = SenderOptions { allowed: "127.0.0.0/8".parse()?, ..SenderOptions::default() };
    let sender = Sender::new(&options)?;
    let secret = Secret::generate(&SeededEntropy::new(1))?;
    // About as large as an event of a device.
    let body = Bytes::from(vec![b'x'; 600]);
    let begun = Instant::now();
    let workers: Vec<_> = (0..at_once)
        .map(|worker| {
            let (sender, secrets, body, url) =
                (sender.clone(), [secret.clone()], body.clone(), Arc::clone(&url));
            tokio::spawn(async move {
                let mut failed = 0_usize;
                for number in (worker..posts).step_by(at_once) {
                    let at = DateTime::UNIX_EPOCH;
                    let Ok(signed) = sign(&secrets, &format!("evt_{number}"), at, &body) else {
                        return posts;
                    };
                    let post = Post {
                        url: &url,
                        signed,
                        content_type: "application/json",
                        body: body.clone(),
                        hidden: Mask::default(),
                    };
                    failed += usize::from(sender.send(post, at).await.failure.is_some());
                }
                failed
            })
        })
        .collect();
    let mut failed = 0;
    for worker in workers {
        failed += worker.await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{posts} posts, {at_once} at once, {failed} failed: {:.0} per second", posts as f64 / seconds);
    Ok(())
}

/// Answers each post of a connection with 200. A body is smaller than one read here.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    while stream.read_buf(&mut bytes).await? > 0 {
        let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        if bytes.len() >= head + 4 + 600 {
            bytes.clear();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
        }
    }
    Ok(())
}
