//! Plots: whole ones or none.

use std::{
    fs,
    os::unix::{fs::symlink, process::ExitStatusExt},
    path::Path,
    thread,
    time::Duration,
};

use crate::{
    command, printed,
    program::{Folder, Program, until},
    run,
};

const SMALL: [&str; 6] = ["--requests", "500", "--servers", "5", "--strategies", "random,ring"];
/// Minutes long in a debug build, were it begun.
const LONG: [&str; 4] = ["--requests", "10000000", "--strategies", "all"];

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_plot_tells_every_strategy_and_what_its_axes_are() {
    let folder = Folder::new();
    let path = folder.path().join("out.svg");
    printed(&["--requests", "500", "--servers", "5", "--plot", path.to_str().unwrap()]);
    let svg = fs::read_to_string(&path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    for text in [
        "equal, load 0.8, 1 client, seed 11",
        "latency in ms (logarithmic)",
        "part of the answers that took longer (logarithmic)",
        "time in s",
        "requests at the fullest server (logarithmic)",
        "0.1%",
        "reference",
        "least_loaded@+1",
        "fleet_least_loaded(d=all)",
        "first_available",
    ] {
        assert!(svg.lines().any(|line| line.trim() == text), "{text} is not in {svg}");
    }
    assert!(!svg.contains("NaN"), "{svg}");
    assert_eq!(names(folder.path()), ["out.svg"]);

    // Without any answer there is still the load.
    let failing = [
        "--service",
        "constant",
        "--timeout",
        "1ms",
        "--plot",
        path.to_str().unwrap(),
    ];
    printed(&[&SMALL[..], &failing].concat());
    let svg = fs::read_to_string(&path).unwrap();
    assert!(svg.contains("time in s") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn names_are_escaped() {
    let folder = Folder::new();
    let (trace, plot) = (folder.path().join("<a>&b.csv"), folder.path().join("out.svg"));
    let lines: String = (0..200).map(|index| format!("{index},2\n")).collect();
    fs::write(&trace, lines).unwrap();
    let flags = [
        "--servers",
        "1",
        "--strategies",
        "random",
        "--trace",
        trace.to_str().unwrap(),
    ];
    printed(&[&flags[..], &["--plot", plot.to_str().unwrap()]].concat());
    let svg = fs::read_to_string(&plot).unwrap();
    assert!(svg.contains("&lt;a&gt;&amp;b.csv at equal"), "{svg}");
}

#[test]
fn a_plot_takes_the_place_of_another_and_a_link_stays_one() {
    let folder = Folder::new();
    let (path, link) = (folder.path().join("out.svg"), folder.path().join("link.svg"));
    fs::write(&path, "before").unwrap();
    symlink(&path, &link).unwrap();
    printed(&[&SMALL[..], &["--plot", link.to_str().unwrap()]].concat());
    assert!(fs::read_to_string(&path).unwrap().ends_with("</svg>\n"));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(names(folder.path()), ["link.svg", "out.svg"]);
}

#[test]
fn a_plot_that_cannot_be_written_is_refused_before_the_simulation() {
    let folder = Folder::new();
    let missing = folder.path().join("missing/out.svg");
    let inside_file = folder.path().join("file/out.svg");
    fs::write(folder.path().join("file"), "").unwrap();
    for (path, told) in [
        (&*missing, "No such file"),
        (&inside_file, "Not a directory"),
        (folder.path(), "expected a file"),
        (Path::new("/dev/null"), "expected a file"),
        (Path::new(""), "expected a file"),
    ] {
        let path = path.to_str().unwrap();
        // It would take longer than anybody waits.
        let (code, stdout, stderr) = run(&[&LONG[..], &["--plot", path]].concat());
        assert_eq!((code, &*stdout), (Some(2), ""), "{stderr}");
        assert!(
            stderr.starts_with(&format!("invalid --plot '{path}': ")) && stderr.contains(told),
            "{stderr}"
        );
    }
    for flags in [&["--scenario", "standard"][..], &["--seeds", "2"]] {
        let path = folder.path().join("out.svg");
        let (code, stdout, stderr) = run(&[&LONG[..], flags, &["--plot", path.to_str().unwrap()]].concat());
        assert_eq!((code, &*stdout), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("expected one scenario and one seed"), "{stderr}");
    }
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn an_interrupt_ends_it_at_once_and_leaves_what_was_there() {
    let folder = Folder::new();
    let path = folder.path().join("out.svg");
    fs::write(&path, "before").unwrap();
    let flags = [&LONG[..], &["--plot", path.to_str().unwrap()]].concat();
    let mut program = Program::start(&mut command(&flags));
    // It is at work: there is no other sign of that than the time that passes.
    thread::sleep(Duration::from_millis(500));
    assert!(program.is_running(), "{}", program.stderr());
    program.signal("INT");
    until("it ends", || (!program.is_running()).then_some(()));
    let output = program.output();
    assert_eq!(output.status.signal(), Some(2), "{output:?}");
    assert_eq!((&*output.stdout, &*output.stderr), (&b""[..], &b""[..]));
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(names(folder.path()), ["out.svg"]);
}
