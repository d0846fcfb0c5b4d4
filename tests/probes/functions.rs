use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use equipoise::{BoxError, Endpoint, health::Report, probes};

use crate::asking::asked;

type Server = Endpoint<u32>;

/// Even ones are fit.
async fn is_even(server: &Server) -> Result<Report, io::Error> {
    tokio::task::yield_now().await;
    match server.target() % 2 {
        0 => Ok(Report::new().with_percent(*server.target())),
        _ => Err(io::Error::other("it is odd")),
    }
}

#[tokio::test]
async fn any_async_function_or_closure_is_a_probe() {
    let (even, odd) = (Server::new("two", 2), Server::new("three", 3));
    let function = probes::function(is_even);
    assert_eq!(asked(&function, &even).await, Ok(Report::new().with_percent(2)));
    assert_eq!(asked(&function, &odd).await, Err("it is odd".to_owned()));

    let borrowing = probes::function(async |server: &Server| is_even(server).await);
    assert!(asked(&borrowing, &even).await.is_ok() && asked(&borrowing, &odd).await.is_err());

    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let owning = probes::function(move |server: &Server| {
        let (counted, number) = (Arc::clone(&counted), *server.target());
        async move {
            counted.fetch_add(number, SeqCst);
            Ok::<_, BoxError>(Report::new())
        }
    });
    assert!(asked(&owning, &even).await.is_ok() && asked(&owning, &odd).await.is_ok());
    assert_eq!(count.load(SeqCst), 5);
}
