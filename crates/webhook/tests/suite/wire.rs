//! What a post looks like to who receives it, and whose certificate is believed.

use adelie_model::{Mask, SeededEntropy};
use adelie_webhook::{LARGEST_BODY, Post, Secret, Sender, SenderOptions, VerifyingKey, sign, verify};
use bytes::Bytes;
use chrono::TimeDelta;

use crate::receiver::{Manner, Receiver};
use crate::table::{Then, now, post, say, sender, then};
use crate::tls;

#[tokio::test]
async fn tls_is_verified() {
    let (good, root) = tls::start("127.0.0.1");
    let (misnamed, wrong_root) = tls::start("other.example");
    let plain = Manner::Blurt("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".into());
    let plain = Receiver::start("127.0.0.1:0", plain).await;
    let silent = Receiver::start("127.0.0.1:0", Manner::Slam).await;
    let trusting = sender(vec![root, wrong_root]);
    let tried = post(&trusting, &format!("https://{good}/"), Bytes::new()).await;
    assert_eq!(tried.status, Some(200), "{:?}", tried.failure);
    for (what, sender, address) in [
        ("nobody vouches for it", &sender(Vec::new()), good),
        ("another's name", &trusting, misnamed),
        ("no TLS at all", &trusting, plain.address),
    ] {
        let tried = post(sender, &format!("https://{address}/"), Bytes::new()).await;
        let failure = tried.failure.as_ref().expect(what).to_string();
        assert!(failure.starts_with("nothing was sent: TLS with the receiver failed"), "{what}: {failure}");
        assert_eq!((tried.status, then(&tried)), (None, Then::Retry), "{what}");
    }
    let tried = post(&trusting, &format!("https://{}/", silent.address), Bytes::new()).await;
    let failure = tried.failure.expect("closed in the handshake").to_string();
    assert!(failure.starts_with("nothing was sent"), "{failure}");
    assert!(plain.posts().is_empty() && silent.posts().is_empty());
    let unreadable = SenderOptions { roots: vec![b"no certificate".to_vec()], ..SenderOptions::default() };
    let error = Sender::new(&unreadable).expect_err("refused").to_string();
    assert!(error.contains("certificate 1"), "{error}");
}

#[tokio::test]
async fn a_post_is_what_the_specification_describes() {
    let receiver = Receiver::start("127.0.0.1:0", say(200, "")).await;
    let sender = sender(Vec::new());
    let entropy = SeededEntropy::new(1);
    let old = Secret::generate(&entropy).expect("a secret");
    let new = Secret::generate_ed25519(&entropy).expect("a key");
    let body = Bytes::from(vec![b'x'; LARGEST_BODY]);
    for attempt in 0..3 {
        let at = now() + TimeDelta::seconds(attempt);
        let signed = sign(&[old.clone(), new.clone()], "evt_1", at, &body).expect("signed");
        let post = Post {
            url: &receiver.url(),
            signed,
            content_type: "application/json",
            body: body.clone(),
            hidden: Mask::default(),
        };
        assert_eq!(sender.send(post, at).await.status, Some(200));
    }
    assert_eq!(receiver.connections(), 1, "the connection is used again");
    let posts = receiver.posts();
    for (attempt, post) in (0..).zip(&posts) {
        assert!(post.head.starts_with("POST /hook HTTP/1.1\r\n"), "{}", post.head);
        let headers = post.headers();
        assert_eq!(headers["webhook-id"], "evt_1", "the same over all attempts");
        assert_eq!(
            headers["webhook-timestamp"],
            (784_111_777 + attempt).to_string().as_str(),
            "that of the attempt"
        );
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["user-agent"], concat!("Adelie/", env!("CARGO_PKG_VERSION")));
        for key in [&old, &new].map(VerifyingKey::from) {
            assert_eq!(verify(&[key], &headers, &post.body, now()), Ok(()), "either secret will do");
        }
    }
}
