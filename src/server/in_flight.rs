//! That a request is in flight.

use std::sync::Arc;

use http::Version;

use super::line::Line;

/// A request that counts as in flight until this is dropped.
pub(super) struct InFlight {
    line: Arc<Line>,
    /// The request's number, if it may inform; otherwise 0.
    pub(super) speaker: u64,
}

impl InFlight {
    pub(super) fn new(line: &Arc<Line>, version: Version) -> Self {
        let number = line.begin();
        let speaker = if version == Version::HTTP_11 { number } else { 0 };
        if speaker != 0 {
            line.interims.open(speaker);
        }
        let line = Arc::clone(line);
        Self { line, speaker }
    }

    pub(super) fn is_answered(&self) {
        if self.speaker != 0 {
            self.line.interims.close(self.speaker);
        }
    }

    /// The response has to wait for interim ones.
    pub(super) fn holds(&self) -> bool {
        self.speaker != 0 && self.line.interims.are_unsent()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.is_answered();
        self.line.end();
    }
}
