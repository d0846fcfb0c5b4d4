//! The bodies of the fuzz targets over the committed corpus, on stable.

#![cfg(not(loom))]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

#[cfg(feature = "cookie")]
#[path = "../fuzz/bodies/cookie.rs"]
mod cookie;
#[cfg(all(feature = "http", feature = "learned"))]
#[path = "../fuzz/bodies/naming.rs"]
mod naming;
#[path = "../fuzz/bodies/pool_ops.rs"]
mod pool_ops;
#[path = "../fuzz/bodies/strategy_parse.rs"]
mod strategy_parse;
#[cfg(feature = "sim")]
#[path = "../fuzz/bodies/trace_read.rs"]
mod trace_read;

/// Runs the body over every file, and names those over which it fails.
fn over(target: &str, body: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(paths.len() >= 10, "{} holds {} files", corpus.display(), paths.len());
    let failed: Vec<_> = paths
        .iter()
        .filter(|path| {
            let data = fs::read(path).unwrap();
            catch_unwind(AssertUnwindSafe(|| body(&data))).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "{target} fails over {failed:?}");
}

#[test]
#[cfg(feature = "cookie")]
fn cookie_holds_over_the_corpus() {
    over("cookie", cookie::run);
}

#[test]
#[cfg(all(feature = "http", feature = "learned"))]
fn naming_holds_over_the_corpus() {
    over("naming", naming::run);
}

#[test]
fn pool_ops_holds_over_the_corpus() {
    over("pool_ops", pool_ops::run);
}

#[test]
fn strategy_parse_holds_over_the_corpus() {
    over("strategy_parse", strategy_parse::run);
}

#[test]
#[cfg(feature = "sim")]
fn trace_read_holds_over_the_corpus() {
    over("trace_read", trace_read::run);
}
