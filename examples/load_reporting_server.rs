//! A server that answers each request with its load: `load_reporting_server [ADDRESS [UTILIZATION]]`.
//!
//! It prints where it listens and serves until it is killed. `/` is answered at once with the address, `/fail` with a 503, and
//! `/slow/MILLIS` so many milliseconds later. See what it reports:
//! ```text
//! cargo run --features full --example load_reporting_server 127.0.0.1:9001
//! curl --head http://127.0.0.1:9001/
//! ```
//! A client that balances by it has a pool with the selector `FleetLeastLoaded`, or `ReportedLoad` if UTILIZATION is
//! given, below `BalanceLayer::orca`.

use std::{process::ExitCode, time::Duration};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use equipoise::orca::ReportLoad;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let utilization = arguments.next().map(|text| text.parse::<f64>());
    let is_wrong = |number: &f64| !(0.0..=100.0).contains(number);
    if utilization
        .as_ref()
        .is_some_and(|read| read.as_ref().map_or(true, is_wrong))
        || arguments.next().is_some()
    {
        eprintln!("usage: load_reporting_server [ADDRESS [UTILIZATION]], the latter from 0 to 100, 1 being all");
        return ExitCode::from(2);
    }
    match serve(&address, utilization.and_then(Result::ok)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, utilization: Option<f64>) -> std::io::Result<()> {
    // One layer for all routes: together they are one server.
    let mut report = ReportLoad::new();
    if let Some(utilization) = utilization {
        report = report.with_utilization(move || utilization);
    }
    let slow = async |Path(millis): Path<u64>| {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        "at last\n"
    };
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route("/", get(move || async move { format!("{address}, at once\n") }))
        .route("/fail", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/slow/{millis}", get(slow))
        .layer(report);
    println!("listening on {address}");
    axum::serve(listener, app).await
}
