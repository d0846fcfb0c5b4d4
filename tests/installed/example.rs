//! Where cargo puts the examples that it builds along with the tests.

use std::{fs, path::PathBuf, time::SystemTime};

/// The executable of an example, as it was built with this test.
pub(crate) fn example(name: &str) -> PathBuf {
    // Tests are in `deps` of the folder that `examples` is in.
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    // Beside it, what it was made of: `TARGET: SOURCE SOURCE...`, the library's among them.
    let made_of = fs::read_to_string(folder.join(format!("{name}.d"))).unwrap_or_default();
    let (_, sources) = made_of.split_once(": ").unwrap_or_default();
    let sources = sources.replace("\\ ", "\0");
    let mut sources = sources.split_whitespace().map(|source| source.replace('\0', " "));
    let edited = |path: PathBuf| fs::metadata(path).and_then(|data| data.modified());
    let is_current = |built: SystemTime| {
        let is_older = |source: String| edited(source.into()).is_ok_and(|edited| edited <= built);
        !made_of.is_empty() && sources.all(is_older)
    };
    assert!(
        edited(path.clone()).is_ok_and(is_current),
        "{} is not there, or older than its sources: cargo build --features full --examples",
        path.display()
    );
    path
}
