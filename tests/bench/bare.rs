//! The bare loop: fetches every page, one after the other, and keeps nothing.

use std::sync::Arc;
use std::time::Instant;

use adelie_dep::endpoints::fetch_devices;
use adelie_dep::{Client, DevicePage, Endpoint, MalformedAnswer, Method, Options};
use adelie_model::{Clock, Cursor};
use adelie_token::TokenKey;
use anyhow::Context as _;
use serde::Deserialize;

use crate::apple::Apple;
use crate::real::{SystemClock, nonces};

/// The client of the bare loop: our own, with a server token of its own.
pub async fn client(apple: &Apple) -> anyhow::Result<Client> {
    let key = TokenKey::generate("bare loop", SystemClock.now())?;
    let file = apple.token(key.certificate_pem()).await?;
    let (_, token) = adelie_token::decrypt(&file, &[key])?;
    let options = Options { base_url: apple.url.parse()?, ..Options::default() };
    Ok(Client::new(token, options, Arc::new(SystemClock), nonces())?)
}

/// Fetches every page and reads its devices, as any client has to. Returns the seconds it took.
pub async fn reading(client: &Client, devices: u64) -> anyhow::Result<f64> {
    let request = |cursor| fetch_devices::Request { cursor, limit: Some(fetch_devices::MAX_LIMIT) };
    fetch(client, devices, request, |page: DevicePage| {
        let (cursor, more) = (page.cursor.clone(), page.more_to_follow);
        (page.into_devices().len() as u64, cursor, more)
    })
    .await
}

/// Fetches every page and reads nothing of it but where to go on. Returns the seconds it took.
pub async fn blind(client: &Client, devices: u64) -> anyhow::Result<f64> {
    let pages = devices.div_ceil(u64::from(fetch_devices::MAX_LIMIT)).max(1);
    fetch(client, pages, Blind, |page: Place| (1, page.cursor, page.more_to_follow)).await
}

/// Fetches until there is no more and checks that what was counted is all.
async fn fetch<E: Endpoint>(
    client: &Client,
    expected: u64,
    request: impl Fn(Option<Cursor>) -> E,
    read: impl Fn(E::Response) -> (u64, Cursor, bool),
) -> anyhow::Result<f64> {
    let began = Instant::now();
    let (mut cursor, mut found) = (None, 0);
    loop {
        let page = client.send(&request(cursor)).await.context("the bare loop could not fetch a page")?;
        let (count, next, more) = read(page);
        found += count;
        if !more {
            break;
        }
        cursor = Some(next);
    }
    let seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(found == expected, "the bare loop found {found} of {expected}");
    Ok(seconds)
}

/// Asks for a page without an interest in its devices.
struct Blind(Option<Cursor>);

/// Where a page ends.
#[derive(Deserialize)]
struct Place {
    cursor: Cursor,
    more_to_follow: bool,
}

impl Endpoint for Blind {
    type Response = Place;
    const METHOD: Method = fetch_devices::Request::METHOD;
    const PATH: &'static str = fetch_devices::Request::PATH;
    const WRITES: bool = false;

    fn body(&self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        fetch_devices::Request { cursor: self.0.clone(), limit: Some(fetch_devices::MAX_LIMIT) }.body()
    }

    fn parse(body: &[u8]) -> Result<Place, MalformedAnswer> {
        serde_json::from_slice(body).map_err(|error| MalformedAnswer::Json(error.to_string()))
    }
}
