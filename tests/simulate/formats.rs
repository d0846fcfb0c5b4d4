//! Figures as a table, CSV and JSON.

use serde_json::Value;

use crate::{printed, program::Folder};

const SMALL: [&str; 6] = [
    "--requests",
    "2000",
    "--servers",
    "5",
    "--strategies",
    "least_loaded,random,ring",
];
const FIGURES: [&str; 12] = [
    "requests",
    "errors",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "p999_ms",
    "max_over_mean",
    "utilization",
    "moved_keys",
    "ejections",
    "failing",
];
/// No request has an answer in time.
const ALL_FAIL: [&str; 4] = ["--service", "constant", "--timeout", "1ms"];

fn told(format: &str, flags: &[&str]) -> String {
    printed(&[&SMALL[..], &["--format", format], flags].concat())
}

fn json(flags: &[&str]) -> Value {
    serde_json::from_str(&told("json", flags)).unwrap()
}

/// But for the last digit, which JSON's reader takes lightly.
fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
}

fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(|key| &**key).collect()
}

fn sorted<'a>(fields: &[&[&'a str]]) -> Vec<&'a str> {
    let mut fields = fields.concat();
    fields.sort_unstable();
    fields
}

#[test]
fn the_same_seed_is_the_same_bytes_on_any_number_of_threads() {
    let folder = Folder::new();
    let plot = folder.path().join("plot.svg");
    let plot = plot.to_str().unwrap();
    // Every strategy, and more servers than a subset has, each another.
    let flags = [
        "--scenario",
        "antagonists",
        "--strategies",
        "all",
        "--requests",
        "500",
        "--servers",
        "30",
        "--clients",
        "2",
        "--format",
    ];
    for format in ["table", "csv", "json"] {
        let play = |seed, threads| {
            let run = [format, "--seed", seed, "--threads", threads, "--plot", plot];
            let text = printed(&[&flags[..], &run].concat());
            (text, std::fs::read_to_string(plot).unwrap())
        };
        let first = play("3", "1");
        for threads in ["1", "2", "7"] {
            let again = play("3", threads);
            assert_eq!(again.0, first.0);
            assert!(again.1 == first.1, "the plot differs");
        }
        let other = play("4", "2");
        assert!(other.0 != first.0 && other.1 != first.1, "{}", first.0);
        let several = |threads| told(format, &["--seeds", "3", "--threads", threads]);
        assert_eq!(several("1"), several("2"));
    }
}

#[test]
fn json_has_the_figures_by_name() {
    let json = json(&[
        "--scenario",
        "antagonists",
        "--load",
        "0.7",
        "--clients",
        "2",
        "--seed",
        "5",
    ]);
    let names = ["scenario", "seed", "clients", "load", "reference", "strategies"];
    assert_eq!(fields(&json), sorted(&[&names]));
    assert_eq!(json["scenario"], "antagonists");
    assert_eq!(
        (&json["seed"], &json["clients"], &json["load"]),
        (&5.into(), &2.into(), &0.7.into())
    );
    assert_eq!(fields(&json["reference"]), sorted(&[&FIGURES]));
    let strategies = json["strategies"].as_array().unwrap();
    assert_eq!(strategies.len(), 3);
    for strategy in strategies {
        assert_eq!(
            fields(strategy),
            sorted(&[&FIGURES, &["strategy", "p99_over_reference"]])
        );
        let ratio = strategy["p99_ms"].as_f64().unwrap() / json["reference"]["p99_ms"].as_f64().unwrap();
        assert!(
            is_same(strategy["p99_over_reference"].as_f64().unwrap(), ratio),
            "{strategy}"
        );
    }
}

#[test]
fn json_of_several_has_their_geometric_mean() {
    let json = json(&["--seeds", "2", "--scenario", "fail_fast"]);
    assert_eq!(fields(&json), ["comparisons", "geometric_mean"]);
    let comparisons = json["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 2);
    let means = json["geometric_mean"].as_array().unwrap();
    assert_eq!(means.len(), 3);
    let mut errors = 0;
    for (index, mean) in means.iter().enumerate() {
        assert_eq!(fields(mean), ["errors", "p99_over_reference", "strategy"]);
        let [first, second] = [0, 1].map(|comparison| &comparisons[comparison]["strategies"][index]);
        assert_eq!(mean["strategy"], first["strategy"]);
        let of = |field: &str| [first, second].map(|one| one[field].as_f64().unwrap());
        let [first, second] = of("p99_over_reference");
        let ratio = mean["p99_over_reference"].as_f64().unwrap();
        assert!(
            (ratio - (first * second).sqrt()).abs() < 1e-9,
            "{mean} {first} {second}"
        );
        assert_eq!(mean["errors"].as_f64().unwrap(), of("errors").iter().sum::<f64>());
        errors += mean["errors"].as_u64().unwrap();
    }
    assert!(errors > 0, "{json:#}");
}

#[test]
fn csv_has_the_same_figures_in_rows() {
    for flags in [&["--seed", "5"][..], &["--seeds", "2"]] {
        let (text, json) = (told("csv", flags), json(flags));
        let comparisons = json["comparisons"].as_array().cloned().unwrap_or(vec![json]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let heads: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let front = ["scenario", "seed", "clients", "load", "strategy"];
        assert_eq!(heads, [&front[..], &FIGURES, &["p99_over_reference"]].concat());
        let mut rows = reader.records().map(Result::unwrap);
        for comparison in &comparisons {
            let reference = [("reference", &comparison["reference"], 1.0)];
            let strategies = comparison["strategies"].as_array().unwrap().iter();
            let strategies = strategies.map(|one| {
                let ratio = one["p99_over_reference"].as_f64().unwrap();
                (one["strategy"].as_str().unwrap(), one, ratio)
            });
            for (name, figures, ratio) in reference.into_iter().chain(strategies) {
                let row = rows.next().unwrap();
                assert_eq!(&row[0], comparison["scenario"].as_str().unwrap());
                assert_eq!(&row[4], name);
                for (cell, head) in row.iter().zip(&heads).skip(1).filter(|(_, head)| *head != "strategy") {
                    let number = match &**head {
                        "p99_over_reference" => ratio,
                        "seed" | "clients" | "load" => comparison[head].as_f64().unwrap(),
                        _ => figures[head].as_f64().unwrap(),
                    };
                    assert!(is_same(cell.parse().unwrap(), number), "{head} {number}: {row:?}");
                }
            }
        }
        assert!(rows.next().is_none(), "{text}");
    }
}

#[test]
fn a_table_marks_the_best() {
    let (text, json) = (told("table", &[]), json(&[]));
    assert!(
        text.starts_with("equal, load 0.8, 1 client, seed 11; latencies in ms\n\n"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() <= 120), "{text}");
    let strategies = json["strategies"].as_array().unwrap();
    let ratio = |one: &Value| one["p99_over_reference"].as_f64().unwrap();
    let least = strategies.iter().map(ratio).fold(f64::INFINITY, f64::min);
    assert!(least > 1.0, "{json:#}");
    for strategy in strategies {
        let name = strategy["strategy"].as_str().unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        let mut cells: Vec<&str> = line.split_whitespace().collect();
        let is_best = cells.pop_if(|last| *last == "*").is_some();
        assert_eq!(is_best, ratio(strategy) == least, "{text}");
        assert_eq!(cells.len(), 12, "{text}");
        assert_eq!(cells[1], strategy["requests"].to_string());
        assert_eq!(
            cells[6].parse::<f64>().unwrap(),
            shown(strategy["p99_ms"].as_f64().unwrap())
        );
        assert_eq!(cells[11], format!("{:.3}", ratio(strategy)));
    }
}

/// Four digits of a number from 10 to 999.
fn shown(number: f64) -> f64 {
    let digits = if number < 100.0 { 100.0 } else { 10.0 };
    (number * digits).round() / digits
}

#[test]
fn who_fails_is_not_the_best_however_fast_the_rest() {
    // One asks its servers before it sends them requests, and loses fewer to the one that crashes; and is slower.
    let flags = ["--scenario", "crash", "--load", "1", "--requests", "3000"];
    let of = |format| {
        printed(
            &[
                &flags[..],
                &["--strategies", "least_loaded,prequal", "--format", format],
            ]
            .concat(),
        )
    };
    let json: Value = serde_json::from_str(&of("json")).unwrap();
    let figures = |field: &str| [0, 1].map(|index| json["strategies"][index][field].as_f64().unwrap());
    let ([p99, higher], [errors, fewer]) = (figures("p99_ms"), figures("errors"));
    assert!(p99 < higher && errors > 30.0 && fewer <= 30.0, "{json:#}");
    let text = of("table");
    let is_marked = |name: &str| text.lines().any(|line| line.starts_with(name) && line.ends_with('*'));
    assert!(is_marked("prequal ") && !is_marked("least_loaded "), "{text}");
}

#[test]
fn of_several_the_mean_comes_first_and_then_who_wins() {
    let flags = ["--scenario", "standard", "--requests", "200"];
    let small = [
        "--servers",
        "3",
        "--strategies",
        "random,least_loaded(d=all)",
        "--format",
    ];
    let of = |format| printed(&[&flags[..], &small, &[format]].concat());
    let (text, json): (_, Value) = (of("table"), serde_json::from_str(&of("json")).unwrap());
    assert!(text.starts_with("28 scenarios, 1 seed each\n\nstrategy "), "{text}");
    let mut wins = 0;
    for mean in json["geometric_mean"].as_array().unwrap() {
        let name = mean["strategy"].as_str().unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            cells[1],
            format!("{:.3}", mean["p99_over_reference"].as_f64().unwrap()),
            "{text}"
        );
        let won = json["comparisons"].as_array().unwrap().iter().filter(|comparison| {
            let ratio = |one: &Value| one["p99_over_reference"].as_f64().unwrap();
            let strategies = comparison["strategies"].as_array().unwrap();
            let own = strategies.iter().find(|one| one["strategy"] == name).unwrap();
            strategies.iter().all(|one| ratio(own) <= ratio(one))
        });
        let won: Vec<String> = won
            .map(|comparison| {
                format!(
                    "  {}, load {}, 1 client",
                    comparison["scenario"].as_str().unwrap(),
                    comparison["load"]
                )
            })
            .collect();
        assert_eq!(cells[4], won.len().to_string(), "{text}");
        wins += won.len();
        if !won.is_empty() {
            assert!(
                text.contains(&format!("\n{name} wins\n{}\n", won.join("\n"))),
                "{won:?}: {text}"
            );
        }
    }
    assert!(wins >= 28, "{text}");
}

#[test]
fn without_any_answer_no_form_breaks() {
    let text = told("table", &ALL_FAIL);
    let line = text.lines().find(|line| line.starts_with("random ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[1..8], ["2000", "2000", "-", "-", "-", "-", "-"], "{text}");
    assert!(
        cells.last() == Some(&"-") && !text.contains('*') && !text.contains("NaN"),
        "{text}"
    );

    let one = json(&ALL_FAIL);
    let random = &one["strategies"][1];
    assert_eq!((&random["errors"], &random["p99_ms"]), (&2000.into(), &Value::Null));
    assert_eq!(random["p99_over_reference"], Value::Null);
    let several = json(&[&ALL_FAIL[..], &["--seeds", "2"]].concat());
    assert_eq!(several["geometric_mean"][1]["p99_over_reference"], Value::Null);

    let rows = told("csv", &ALL_FAIL);
    let row = rows.lines().find(|row| row.contains(",random,")).unwrap();
    assert!(row.contains(",random,2000,2000,,,,,,") && row.ends_with(','), "{rows}");

    let text = told("table", &[&ALL_FAIL[..], &["--seeds", "2"]].concat());
    let line = text.lines().find(|line| line.starts_with("random ")).unwrap();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells, ["random", "-", "-", "4000", "0"], "{text}");
}
