//! Programs that have to run.

use super::Processes;

impl Processes {
    /// Processes of this name, as the kernel keeps it, that have not ended: zombies have.
    pub fn count_named(&self, name: &str) -> usize {
        let entries = self.entries.iter().map(|entry| &entry.stat);
        let alive = entries.filter(|stat| stat.state != b'Z');
        alive
            .filter(|stat| stat.name.as_bytes() == name.as_bytes())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sysmon_config::Arguments;
    use sysmon_wire::UnixMs;

    use super::*;

    #[test]
    fn processes_of_a_name_are_counted_and_zombies_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, name, state) in [
            (7, "sshd", 'S'),
            (8, "sshd", 'R'),
            (9, "sshd", 'Z'),
            (10, "sh", 'S'),
        ] {
            let folder = dir.path().join(pid.to_string());
            std::fs::create_dir(&folder).unwrap();
            let columns = "1 1 1 0 -1 0 0 0 0 0 5 5 0 0 20 0 1 0 100 4096 50";
            std::fs::write(
                folder.join("stat"),
                format!("{pid} ({name}) {state} {columns}\n"),
            )
            .unwrap();
        }
        let passwd = Path::new("/nonexistent").to_owned();
        let mut processes = Processes::new(dir.path(), passwd, UnixMs(0), Arguments::None);
        processes.refresh(UnixMs(1_000), false);
        assert_eq!(processes.count_named("sshd"), 2);
        assert_eq!(processes.count_named("ssh"), 0);
    }
}
