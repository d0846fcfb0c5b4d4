//! The file that a plot is written to.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

use crate::values::wrong;

/// A file that can be written, was found out: as a whole or not at all.
pub(crate) struct PlotFile {
    path: PathBuf,
    /// Beside it, what becomes it once it is complete.
    unfinished: PathBuf,
}

impl PlotFile {
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let wrong = |why: &dyn std::fmt::Display| wrong("--plot", &path.to_string_lossy(), why);
        let path = match fs::metadata(path) {
            Ok(data) if !data.is_file() => return Err(wrong(&"expected a file, not a folder or a device")),
            Ok(_) => {
                OpenOptions::new()
                    .write(true)
                    .open(path)
                    .map_err(|error| wrong(&error))?;
                // A link stays one.
                path.canonicalize().map_err(|error| wrong(&error))?
            }
            Err(_) => path.to_owned(),
        };
        let name = path.file_name().ok_or_else(|| wrong(&"expected a file"))?;
        let mut unfinished = name.to_owned();
        unfinished.push(format!(".{}.unfinished", process::id()));
        let file = Self {
            unfinished: path.with_file_name(unfinished),
            path,
        };
        // Hours may pass until it is written.
        file.begin(b"").map_err(|error| wrong(&error))?;
        fs::remove_file(&file.unfinished).map_err(|error| wrong(&error))?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), String> {
        let written = self
            .begin(bytes)
            .and_then(|()| fs::rename(&self.unfinished, &self.path));
        written.map_err(|error| {
            // There may be none.
            let _ = fs::remove_file(&self.unfinished);
            format!("{}: {error}", self.path.display())
        })
    }

    fn begin(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&self.unfinished)?;
        file.write_all(bytes)
    }
}
