//! The house: imports go down only, and what stands on the top floor uses nothing but what is public.
#![cfg(not(loom))]

use std::{
    fs,
    path::{Path, PathBuf},
};

use equipoise::Strategy;

/// From the ground up: a module may import from those before it. Floor by floor: 0 what a backend is, time and errors;
/// 1 members and asks; 2 which, who is fit, where from, who must; 3 the pool; 4 the tower face.
const CORE: [&str; 21] = [
    "sync",
    "excerpt",
    "error",
    "readiness",
    "key",
    "needs",
    "backend",
    "clock",
    "load",
    "outcome",
    "fitness",
    "event",
    "trace",
    "limit",
    "member",
    "ask",
    "affinity",
    "selector",
    "discover",
    "health",
    "pool",
];
/// Floor 4 is above all of these; floor 5 sees the crate from outside.
const FACE: &str = "balance";
/// Modules that a user of the crate can name.
const PUBLIC: [&str; 17] = [
    "cookie", "learned", "redis", "affinity", "key", "load", "selector", "health", "balance", "http", "testing",
    "connect", "probes", "proxy", "server", "orca", "sim",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        // What was built of a package within is nobody's to read.
        .filter(|path| !path.ends_with("target"))
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The first names of all paths that begin with `crate::`, those in braces included.
fn imports(source: &str) -> Vec<String> {
    // Comments and docs are seen from outside: their `crate::` is a reader's.
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let mut names = Vec::new();
    for after in code.split("crate::").skip(1) {
        let group = after.strip_prefix('{').map(top_level);
        let single = || vec![after];
        for path in group.unwrap_or_else(single) {
            let name = path
                .trim_start()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            names.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
        }
    }
    names
}

/// The parts of a brace group, from after its opening brace.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[from..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// Why this file may not import this name, if so.
fn objection(module: &str, name: &str) -> Option<&'static str> {
    let is_type = name.starts_with(char::is_uppercase);
    let floor = |name| CORE.iter().position(|module| *module == name);
    match (floor(module), floor(name)) {
        _ if name == module => None,
        (Some(here), Some(there)) => (there > here).then_some("imports go down only"),
        (Some(_), None) => Some("the core imports from its own modules, by their names"),
        (None, there) if module == FACE => there.is_none().then_some("imports go down only"),
        (None, _) => (!is_type && !PUBLIC.contains(&name)).then_some("floor 5 uses only what is public"),
    }
}

#[test]
fn imports_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        for name in imports(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if let Some(objection) = objection(module, &name) {
                panic!("{}: crate::{name}: {objection}", inside.display());
            }
        }
    }
    assert!(seen > 50, "the parser sees only {seen} imports");
}

#[test]
fn the_parser_reads_what_rustfmt_writes() {
    let source =
        "use crate::{\n    ask::Ask,\n    clock::{Clock, Stamp},\n    Error,\n};\n// use crate::no;\ncrate::pool::x();";
    assert_eq!(imports(source), ["ask", "clock", "Error", "pool"]);
    for (module, name) in [
        ("ask", "pool"),
        ("selector", "pool"),
        ("pool", "balance"),
        ("http", "pool"),
        ("pool", "Error"),
    ] {
        assert!(objection(module, name).is_some(), "{module} {name}");
    }
    for (module, name) in [
        ("pool", "selector"),
        ("balance", "pool"),
        ("http", "Lease"),
        ("testing", "selector"),
    ] {
        assert!(objection(module, name).is_none(), "{module} {name}");
    }
}

/// The features that a table tells, in its order.
fn told(table: &str) -> Vec<&str> {
    let rows = table
        .lines()
        .filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[test]
fn every_feature_is_told_twice_in_one_order() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let section = |text: &str, from: &str, to: &str| {
        let (_, after) = text.split_once(from).unwrap();
        after.split_once(to).unwrap().0.to_owned()
    };
    let readme = section(&read("README.md"), "\n## Features\n", "\n## ");
    let docs = section(&read("src/lib.rs"), "\n//! # Features\n", "\n\n");
    assert_eq!(told(&readme), told(&docs));
    let manifest = section(&read("Cargo.toml"), "\n[features]\n", "\n[");
    let mut features: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.split_once(" = [").map(|(name, _)| name))
        .filter(|name| *name != "default")
        .collect();
    let mut told = told(&readme);
    features.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, features);
}

#[test]
fn files_are_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in ["src", "tests", "examples", "benches"]
        .iter()
        .flat_map(|folder| sources(&root.join(folder)))
    {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(
            lines <= 450,
            "{}: {lines} lines; about 400 is the most that is read at once",
            path.display()
        );
    }
}

/// The simulator drives what there is: of a strategy that it knew by name it could have rules of its own.
#[test]
fn the_simulator_knows_no_strategy() {
    let camel = |name: &str| -> String {
        let words = name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect()
    };
    let names: Vec<&str> = Strategy::all().map(|strategy| strategy.name()).collect();
    let types: Vec<String> = names.iter().map(|name| camel(name)).collect();
    let is_known = |word: &str| {
        let bare = word.trim_matches('"');
        // `random` is a word like others, but not between quotes.
        let is_name = word != bare || bare.contains('_');
        is_name && names.contains(&bare) || types.iter().any(|name| bare == name)
    };
    assert!(is_known("RoundRobin") && is_known("\"random\"") && is_known("peak_ewma") && !is_known("random"));
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sim"));
    for path in sources.into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let source = fs::read_to_string(&path).unwrap();
        // Documentation shows how to name them, and unit tests, at the end of a file or in one of their own, play some.
        let code = source.split("#[cfg(test)]").next().unwrap();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '"'));
        let known: Vec<&str> = words.filter(|word| is_known(word)).collect();
        assert!(known.is_empty(), "{}: {known:?}", path.display());
    }
}
