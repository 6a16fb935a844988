//! How much was compared with whom. Every comparison leaves a file; `./test` adds them up.

use std::fs;
use std::path::PathBuf;

/// What one comparison looked at. A line a peer is written when it is dropped, unless the test fails.
#[derive(Debug)]
pub struct Figures {
    file: PathBuf,
    lines: Vec<Line>,
}

/// What was compared with one peer.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// The peer's program, and which release of it if there are two.
    pub peer: String,
    /// What it says of its version.
    pub version: String,
    /// Flows, logical or OpenFlow.
    pub flows: usize,
    /// Rows of databases.
    pub rows: usize,
    /// Packets that crossed both, or that both predicted.
    pub packets: usize,
    /// Answers to commands.
    pub answers: usize,
}

impl Figures {
    /// Figures of a test, in a folder below the build's own: `CARGO_TARGET_TMPDIR`.
    pub fn new(folder: &str, test: &str) -> Figures {
        let folder = PathBuf::from(folder).join("compared");
        fs::create_dir_all(&folder).expect("the build's folder is writable");
        Figures { file: folder.join(format!("{test}.tsv")), lines: Vec::new() }
    }

    /// The line of a peer.
    pub fn peer(&mut self, peer: &str, version: &str) -> &mut Line {
        let at = self.lines.iter().position(|line| line.peer == peer && line.version == version);
        let at = at.unwrap_or_else(|| {
            self.lines.push(Line { peer: peer.into(), version: version.into(), ..Line::default() });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }
}

impl Drop for Figures {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
        if std::thread::panicking() {
            return;
        }
        let lines = self.lines.iter().map(|line| {
            let Line { peer, version, flows, rows, packets, answers } = line;
            format!("{peer}\t{version}\t{flows}\t{rows}\t{packets}\t{answers}\n")
        });
        fs::write(&self.file, lines.collect::<String>()).expect("the build's folder is writable");
    }
}
