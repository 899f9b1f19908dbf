//! The edges that were paired with this hub: a file in its state directory, beside those that the configuration names.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysmon_files::{FileError, read_private, write_private};
use thiserror::Error;

/// A hub sends the whole fleet to each of its edges.
const EDGES_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedEdge {
    /// As in its certificate.
    pub name: String,
    /// `HOST:PORT`, which the hub dials.
    pub address: String,
    pub added_ms: i64,
}

#[derive(Debug, Error)]
pub enum EdgesError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is damaged: {reason}; remove it and pair the edges again", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{EDGES_MAX} edges, the limit: remove one with `sysmon-hub edge remove`")]
    TooMany,
}

#[derive(Clone, Debug)]
pub struct PairedEdges {
    path: PathBuf,
}

impl PairedEdges {
    pub fn new(state: &Path) -> Self {
        Self {
            path: state.join("edges.json"),
        }
    }

    pub fn changed(&self) -> Option<SystemTime> {
        let file = std::fs::metadata(&self.path);
        file.and_then(|file| file.modified()).ok()
    }

    pub fn load(&self) -> Result<Vec<PairedEdge>, EdgesError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let text = read_private(&self.path)?;
        serde_json::from_str(&text).map_err(|error| EdgesError::Damaged {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }

    /// Adds an edge in the place of one with the same name or address.
    pub fn add(&self, edge: PairedEdge) -> Result<(), EdgesError> {
        let mut edges = self.load()?;
        edges.retain(|other| other.name != edge.name && other.address != edge.address);
        if edges.len() >= EDGES_MAX {
            return Err(EdgesError::TooMany);
        }
        edges.push(edge);
        self.save(&edges)
    }

    /// Removes an edge by its name or address, and returns it.
    pub fn remove(&self, which: &str) -> Result<Option<PairedEdge>, EdgesError> {
        let mut edges = self.load()?;
        let is_it = |edge: &PairedEdge| edge.name == which || edge.address == which;
        let Some(at) = edges.iter().position(is_it) else {
            return Ok(None);
        };
        let removed = edges.remove(at);
        self.save(&edges)?;
        Ok(Some(removed))
    }

    fn save(&self, edges: &[PairedEdge]) -> Result<(), EdgesError> {
        let text = serde_json::to_string_pretty(edges).unwrap_or_default();
        Ok(write_private(&self.path, format!("{text}\n"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(name: &str, address: &str) -> PairedEdge {
        PairedEdge {
            name: name.to_owned(),
            address: address.to_owned(),
            added_ms: 5,
        }
    }

    #[test]
    fn an_edge_replaces_one_of_its_name_or_address_and_is_removed_by_either() {
        let dir = tempfile::tempdir().unwrap();
        let edges = PairedEdges::new(dir.path());
        assert_eq!(edges.load().unwrap(), []);
        edges.add(edge("a", "x:1")).unwrap();
        edges.add(edge("b", "y:1")).unwrap();
        edges.add(edge("a", "z:1")).unwrap();
        edges.add(edge("c", "y:1")).unwrap();
        assert_eq!(edges.load().unwrap(), [edge("a", "z:1"), edge("c", "y:1")]);
        assert_eq!(edges.remove("y:1").unwrap(), Some(edge("c", "y:1")));
        assert_eq!(edges.remove("c").unwrap(), None);
        for number in 0..EDGES_MAX - 1 {
            edges
                .add(edge(&number.to_string(), &format!("h:{number}")))
                .unwrap();
        }
        assert!(matches!(
            edges.add(edge("more", "h:x")),
            Err(EdgesError::TooMany)
        ));
        std::fs::write(dir.path().join("edges.json"), "{").unwrap();
        assert!(edges.load().unwrap_err().to_string().contains("damaged"));
    }
}
