use std::net::SocketAddr;
use std::time::Duration;

use adelie_scheduler::{Engine, Service};
use adelie_store::seal::reseal;
use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::Serve;
use crate::commands::sync::stop_on_signal;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::health;

pub async fn run(context: Context, command: &Serve) -> anyhow::Result<Exit> {
    let engine = context.engine().await?;
    let listener = listen(command.listen, "--listen or ADELIE_LISTEN").await?;
    // Whoever reads that it serves may tell it to end.
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let servers = context.store.servers().await?;
    tracing::info!(listen = %listener.local_addr()?, servers = servers.len(), "Adelie serves");
    if servers.is_empty() {
        tracing::info!(
            "there is no MDM server yet: add one with `adelie server add NAME`; it is picked up by itself"
        );
    }
    for server in &servers {
        for problem in health::problems(&health::of(&context, server, &[])) {
            tracing::warn!(server = %server.name, "{}", problem.text);
        }
    }
    serve(context, engine, listener, stop).await?;
    tracing::info!("Adelie ends");
    Ok(Exit::Done)
}

/// Opens the address, or says why not.
pub async fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        wrong(
            format!("nothing can listen on {address}: {error}"),
            format!("choose another address with {setting}, or end the program that uses it"),
        )
    })
}

/// Runs the service, the delivery of webhooks and the health endpoints until `stop`.
pub async fn serve(
    context: Context,
    engine: Engine,
    listener: TcpListener,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let pump = context.pump().await?;
    let forgetting = forget_data_keys(context.clone(), stop.clone());
    let service = Service::new(engine).run(stop.clone());
    let http = axum::serve(listener, router(context)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let http = async {
        let result = http.await;
        // Without its health endpoints it would look dead to whoever watches it, so the rest ends too.
        stop.cancel();
        result
    };
    let (service, http, (), ()) = tokio::join!(service, http, pump.run(stop.clone()), forgetting);
    service.context("the scheduler ended")?;
    http.context("the health endpoints ended")
}

/// Forgets data keys that have sealed nothing for a day, from time to time.
async fn forget_data_keys(context: Context, stop: CancellationToken) {
    const PAUSE: Duration = Duration::from_secs(6 * 3600);
    loop {
        match reseal::forget_unused(&*context.store, context.clock.now()).await {
            Ok(0) => {}
            Ok(forgotten) => {
                tracing::info!(forgotten, "data keys that sealed nothing any more are forgotten")
            }
            Err(error) => tracing::warn!(
                error = adelie_scheduler::chain(&error),
                "the store could not forget old data keys; it is tried again"
            ),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = context.clock.sleep(PAUSE) => {}
        }
    }
}

fn router(context: Context) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(context)
}

/// Ready means that the database answers; what is wrong with tokens and syncs is told, but does not make the
/// service unready: it works for all others. Devices are not counted here, because somebody asks every few seconds.
async fn ready(State(context): State<Context>) -> (StatusCode, Json<Value>) {
    match context.store.servers().await {
        Ok(servers) => {
            let troubles: serde_json::Map<_, _> = servers
                .iter()
                .filter_map(|server| {
                    let trouble = health::line(&health::problems(&health::of(&context, server, &[])))?;
                    Some((server.name.to_string(), Value::from(trouble)))
                })
                .collect();
            (StatusCode::OK, Json(json!({ "ready": true, "servers": servers.len(), "troubles": troubles })))
        }
        Err(error) => {
            let error = adelie_scheduler::chain(&error);
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "error": error })))
        }
    }
}
