//! Where cargo puts the examples that it builds along with the tests.

use std::path::PathBuf;

/// The executable of an example, as it was built with this test.
pub(crate) fn example(name: &str) -> PathBuf {
    // Tests are in `deps` of the folder that `examples` is in.
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap().join("examples");
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let modified = |path: &str| std::fs::metadata(path).and_then(|data| data.modified());
    let built = modified(&path.to_string_lossy());
    let is_current = built.is_ok_and(|built| modified(&source).is_ok_and(|edited| edited <= built));
    assert!(
        is_current,
        "{} is not there, or older than its source: cargo build --features full --examples",
        path.display()
    );
    path
}
