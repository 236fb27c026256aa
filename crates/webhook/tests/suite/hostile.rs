//! However a URL leads to an internal address, nobody there notices.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use adelie_model::Mask;
use adelie_webhook::{Failure, Names, Post, Sender, SenderOptions, Signed, SystemNames, Tried};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;

use crate::receiver::{Manner, Receiver};

/// Each leads to this machine or to another internal address; PORT is where a listener counts.
const URLS: &[&str] = &[
    // Ordinary spellings of this machine.
    "127.0.0.1:PORT/",
    "127.0.0.2:PORT/",
    "127.255.255.254:PORT/",
    "0.0.0.0:PORT/",
    "0.0.0.1:PORT/",
    "[::1]:PORT/",
    "[::]:PORT/",
    "[0:0:0:0:0:0:0:1]:PORT/",
    "[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/",
    "[::0.0.0.1]:PORT/",
    // Numbers in other bases, and short forms.
    "2130706433:PORT/",
    "0x7f000001:PORT/",
    "0X7F000001:PORT/",
    "0x7f.0.0.1:PORT/",
    "0x7f.0x0.0x0.0x1:PORT/",
    "0x7f.1:PORT/",
    "0177.0.0.1:PORT/",
    "017700000001:PORT/",
    "0177.0.0.01:PORT/",
    "00000177.0.0.1:PORT/",
    "127.1:PORT/",
    "127.0.1:PORT/",
    "127.0x1:PORT/",
    "127.0.0.0x1:PORT/",
    "127.00.00.01:PORT/",
    "0:PORT/",
    "0x0:PORT/",
    "0.0:PORT/",
    "127.0.0.1.:PORT/",
    "0x7f.1.:PORT/",
    // Characters that become digits and dots.
    "１２７.０.０.１:PORT/",
    "①②⑦.⓪.⓪.①:PORT/",
    "127。0。0。1:PORT/",
    "127．0．0．1:PORT/",
    "127｡0｡0｡1:PORT/",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏:PORT/",
    "%31%32%37.0.0.1:PORT/",
    "127%2e0%2e0%2e1:PORT/",
    "127.0.0.1\u{ad}:PORT/",
    "127.0.\t0.1:PORT/",
    "127.0.\n0.1:PORT/",
    "[::1\u{ff05}25lo]:PORT/",
    // Names of this machine.
    "localhost:PORT/",
    "LOCALHOST:PORT/",
    "localhost.:PORT/",
    "ｌｏｃａｌｈｏｓｔ:PORT/",
    "lo\u{200b}calhost:PORT/",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/",
    "%6c%6f%63%61%6c%68%6f%73%74:PORT/",
    "any.localhost:PORT/",
    "ip6-localhost:PORT/",
    // IPv6 forms that hide IPv4.
    "[::ffff:127.0.0.1]:PORT/",
    "[::ffff:7f00:1]:PORT/",
    "[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
    "[::FFFF:0.0.0.0]:PORT/",
    "[::127.0.0.1]:PORT/",
    "[::7f00:1]:PORT/",
    "[::ffff:0:127.0.0.1]:PORT/",
    "[64:ff9b::7f00:1]:PORT/",
    "[64:ff9b::127.0.0.1]:PORT/",
    "[64:ff9b::169.254.169.254]/",
    "[64:ff9b:1::127.0.0.1]:PORT/",
    "[64:ff9b:1::8.8.8.8]/",
    "[2002:7f00:1::]:PORT/",
    "[2002:7f00:1::1]:PORT/",
    "[2002:a9fe:a9fe::1]/",
    "[2001:0:7f00:1::]:PORT/",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]:PORT/",
    "[2606:4700::5efe:7f00:1]:PORT/",
    // Zones.
    "[fe80::1%25lo]:PORT/",
    "[fe80::1%lo]:PORT/",
    "[::1%25lo]:PORT/",
    "[::1%251]:PORT/",
    "[v1.localhost]:PORT/",
    // Parts that look like the host.
    "receiver.example@127.0.0.1:PORT/",
    "receiver.example:443@127.0.0.1:PORT/",
    "receiver.example%40@127.0.0.1:PORT/",
    "127.0.0.1:PORT@192.0.2.1/",
    "192.0.2.1#@127.0.0.1:PORT/",
    "192.0.2.1\\@127.0.0.1:PORT/",
    "\\127.0.0.1:PORT/",
    "/127.0.0.1:PORT/",
    "//127.0.0.1:PORT/",
    "127.0.0.1:PORT\\@receiver.example/",
    "127.0.0.1:PORT/?https://receiver.example/",
    "127.0.0.1:PORT#.receiver.example",
    "[::1]:PORT#receiver.example/",
    // Other internal networks.
    "10.0.0.1/",
    "172.16.0.1/",
    "172.31.255.255/",
    "192.168.1.1/",
    "192.168.257/",
    "3232235777/",
    "100.64.0.1/",
    "100.100.100.200/",
    "169.254.1.1/",
    "169.254.169.254/latest/meta-data/",
    "0xa9fea9fe/",
    "2852039166/",
    "168.63.129.16/",
    "192.0.0.192/",
    "192.0.2.1/",
    "192.88.99.1/",
    "198.18.0.1/",
    "198.51.100.1/",
    "224.0.0.1/",
    "240.0.0.1/",
    "255.255.255.255/",
    "[fc00::1]/",
    "[fd00:ec2::254]/",
    "[fe80::1]/",
    "[fec0::1]/",
    "[ff02::1]/",
    "[100::1]/",
    "[2001:db8::1]/",
    "[3fff::1]/",
    "[5f00::1]/",
    // Names that lead inside.
    "loopback.test:PORT/",
    "LOOPBACK.TEST:PORT/",
    "loopback.test.:PORT/",
    "loopback6.test:PORT/",
    "mapped.test:PORT/",
    "compatible.test:PORT/",
    "nat64.test:PORT/",
    "unspecified.test:PORT/",
    "unspecified6.test:PORT/",
    "metadata.test/",
    "many.test:PORT/",
    "nothing.test:PORT/",
    "unknown.test:PORT/",
];

struct Hosts;

#[async_trait]
impl Names for Hosts {
    async fn addresses(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        let addresses: &[&str] = match name.trim_end_matches('.') {
            "loopback.test" => &["127.0.0.1"],
            "loopback6.test" => &["::1"],
            "mapped.test" => &["::ffff:127.0.0.1"],
            "compatible.test" => &["::127.0.0.1"],
            "nat64.test" => &["64:ff9b::7f00:1"],
            "unspecified.test" => &["0.0.0.0"],
            "unspecified6.test" => &["::"],
            "metadata.test" => &["169.254.169.254", "fd00:ec2::254"],
            "many.test" => &["10.0.0.1", "127.0.0.1", "::1", "192.168.0.1"],
            "mixed.test" => &["127.0.0.1", "127.0.0.9", "::1"],
            "nothing.test" => &[],
            name if name.ends_with("localhost") => return SystemNames.addresses(name).await,
            _ => return Err(std::io::Error::other("no such name")),
        };
        Ok(addresses.iter().map(|text| text.parse().expect("an address")).collect())
    }
}

fn sender(allowed: &str, names: Arc<dyn Names>) -> Sender {
    let allowed = allowed.parse().expect("networks");
    let options =
        SenderOptions { deadline: Duration::from_secs(5), allowed, names, ..SenderOptions::default() };
    Sender::new(&options).expect("a sender")
}

async fn post(sender: &Sender, url: &str) -> Tried {
    let signed = Signed { id: "evt_1".into(), timestamp: 7, signature: None };
    let post = Post {
        url,
        signed,
        content_type: "application/json",
        body: Bytes::from_static(b"{}"),
        hidden: Mask::default(),
    };
    sender.send(post, DateTime::UNIX_EPOCH).await
}

fn ok() -> Manner {
    Manner::Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into())
}

#[tokio::test]
async fn no_spelling_of_an_internal_address_is_connected_to() {
    let receiver = Receiver::start("[::]:0", ok()).await;
    let port = receiver.address.port().to_string();
    // The listener is there, and is reached as soon as it is allowed.
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://[::1]:{port}/")] {
        let tried = post(&sender("127.0.0.0/8,::1", Arc::new(Hosts)), &url).await;
        assert_eq!(tried.status, Some(200), "{url}: {:?}", tried.failure);
    }
    assert_eq!(receiver.connections(), 2);
    assert!(URLS.len() >= 80);
    // With an allowed network names are looked up even for plain HTTP.
    for allowed in ["", "203.0.113.0/24"] {
        let sender = sender(allowed, Arc::new(Hosts));
        for (scheme, rest) in
            ["http", "https"].into_iter().flat_map(|scheme| URLS.iter().map(move |rest| (scheme, rest)))
        {
            let url = format!("{scheme}://{}", rest.replace("PORT", &port));
            let tried = post(&sender, &url).await;
            assert_eq!(tried.status, None, "{url}");
            let refused = matches!(tried.failure, Some(Failure::Refused(_) | Failure::Name { .. }));
            assert!(refused, "{url}: {:?}", tried.failure);
            assert_eq!(receiver.connections(), 2, "{url}");
        }
    }
}

#[tokio::test]
async fn of_a_name_with_both_only_the_permitted_address_is_connected_to() {
    // 127.0.0.9 stands for a public address; nobody listens there.
    let receiver = Receiver::start("127.0.0.1:0", ok()).await;
    let url = format!("http://mixed.test:{}/", receiver.address.port());
    let tried = post(&sender("127.0.0.9", Arc::new(Hosts)), &url).await;
    assert!(matches!(tried.failure, Some(Failure::Unreachable(_))), "{:?}", tried.failure);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_an_internal_address_is_not_followed() {
    let inside = Receiver::start("127.0.0.1:0", ok()).await;
    for status in [300, 301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: {}\r\nrefresh: 0; url={}\r\ncontent-length: 0\r\n\r\n",
            inside.url(),
            inside.url()
        );
        let outside = Receiver::start("127.0.0.9:0", Manner::Say(answer)).await;
        let tried = post(&sender("127.0.0.0/8", Arc::new(Hosts)), &outside.url()).await;
        assert_eq!((tried.status, tried.failure), (Some(status), Some(Failure::Status(status))));
        assert_eq!(outside.connections(), 1);
    }
    assert_eq!(inside.connections(), 0);
}

/// Answers with the permitted address first, and with an internal one ever after.
#[derive(Default)]
struct Rebinding(AtomicUsize);

#[async_trait]
impl Names for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if first { "127.0.0.9" } else { "127.0.0.1" }.parse().expect("an address")])
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_a_moment_later_opens_nothing() {
    let outside = Receiver::start(
        "127.0.0.9:0",
        Manner::SayAndReset("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()),
    );
    let outside = outside.await;
    let port = outside.address.port();
    let inside = Receiver::start(&format!("127.0.0.1:{port}"), ok()).await;
    let names = Arc::new(Rebinding::default());
    let sender = sender("127.0.0.9", Arc::clone(&names) as Arc<dyn Names>);
    let url = format!("http://rebinding.test:{port}/");
    assert_eq!(post(&sender, &url).await.status, Some(200));
    tokio::time::sleep(Duration::from_millis(150)).await;
    // The first connection is gone, so the name is asked again.
    let tried = post(&sender, &url).await;
    assert!(matches!(tried.failure, Some(Failure::Refused(_))), "{:?}", tried.failure);
    // One look at the name for each connection: none in between, that could be told something else.
    assert_eq!((names.0.load(Ordering::SeqCst), outside.connections(), inside.connections()), (2, 1, 0));
}

/// Where the post of [`posts_to_what_the_environment_names`] goes.
const URL: &str = "ADELIE_TEST_URL";

#[tokio::test]
async fn no_proxy_of_the_environment_is_used() {
    let (proxy, receiver) =
        (Receiver::start("127.0.0.1:0", ok()).await, Receiver::start("127.0.0.1:0", ok()).await);
    // An environment can be set for another process only.
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("a program"));
    child.args(["--exact", "hostile::posts_to_what_the_environment_names", "--ignored"]);
    child.env(URL, receiver.url()).env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://{}", proxy.address));
    }
    let output = child.output().await.expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((proxy.connections(), receiver.connections()), (0, 1));
}

#[tokio::test]
#[ignore = "no_proxy_of_the_environment_is_used runs it"]
async fn posts_to_what_the_environment_names() {
    let url = std::env::var(URL).expect("a URL");
    let tried = post(&sender("127.0.0.1", Arc::new(SystemNames)), &url).await;
    assert_eq!(tried.status, Some(200), "{:?}", tried.failure);
}
