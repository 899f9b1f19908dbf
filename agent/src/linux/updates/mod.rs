//! Updates that the package manager has for this machine, and whether it has to be restarted.

mod kernel;
mod managers;

use std::path::Path;
use std::time::{Duration, SystemTime};

use sysmon_clock::Clock;
use sysmon_wire::SeriesKey;
use sysmon_wire::metrics::{PACKAGE_UPDATES, REBOOT_REQUIRED};

use super::Roots;
use super::background::{Background, Reading};
use super::child::{self, drop_inheritable_capabilities};
use managers::{Counts, MANAGERS, Manager};

/// Not while the machine starts, when there is enough to do.
const FIRST_AFTER: Duration = Duration::from_secs(60);

const PERIOD: Duration = Duration::from_hours(1);

const BOUNDS: child::Bounds = child::Bounds {
    time: Duration::from_secs(60),
    bytes: 1 << 20,
};

/// With words that can be parsed, with the lowest priority, from which that for the disks follows (ioprio_set(2)), and as
/// the first to be killed when memory runs out.
const GENTLY: &str =
    "export LC_ALL=C; { echo 1000 >/proc/$$/oom_score_adj; } 2>/dev/null; exec nice -n 19";

const FOLDERS: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Files that package managers create when a restart is needed: of Debian and Ubuntu, and of SUSE.
const RESTART_FILES: [&str; 2] = ["/run/reboot-required", "/run/reboot-needed"];

/// Counts updates, where the package manager is that of this machine and not of the agent's container.
pub(super) fn pending(roots: &Roots, clock: &Clock) -> Option<Background> {
    if !roots.are_usual() {
        return None;
    }
    let manager = MANAGERS.iter().find(|manager| is_installed(manager))?;
    let (mut counting, clock) = (Counting::new(manager), clock.clone());
    let mut is_unprivileged = false;
    let read = move || {
        if !is_unprivileged {
            // Of this thread, from which the package manager inherits what it may do.
            drop_inheritable_capabilities().ok()?;
            is_unprivileged = true;
        }
        Some(counting.read(&clock))
    };
    Some(Background::start_after(
        FIRST_AFTER,
        "updates",
        PERIOD,
        read,
    ))
}

fn is_installed(manager: &Manager) -> bool {
    let has = |folder: &str| Path::new(folder).join(manager.program).exists();
    Path::new(manager.database).exists() && FOLDERS.into_iter().any(has)
}

/// A package manager, and what it counted last.
struct Counting {
    manager: &'static Manager,
    /// When its files were changed before it was last run, and the result.
    last: Option<(Vec<Option<SystemTime>>, Counts)>,
}

impl Counting {
    fn new(manager: &'static Manager) -> Self {
        Self {
            manager,
            last: None,
        }
    }

    fn read(&mut self, clock: &Clock) -> Reading {
        let mut reading = Reading::default();
        match self.count(clock) {
            Ok(counts) => reading.values.extend(counted(counts)),
            Err(reason) => reading.notes.push(reason),
        }
        reading.values.extend(restart());
        reading
    }

    /// Runs the package manager, unless none of its files has changed since.
    fn count(&mut self, clock: &Clock) -> Result<Counts, String> {
        let watched = self.manager.watched.iter();
        let changed: Vec<_> = watched.map(|path| modified(Path::new(path))).collect();
        if let Some((before, counts)) = &self.last
            && !changed.is_empty()
            && *before == changed
        {
            return Ok(*counts);
        }
        self.last = None;
        let mut texts = Vec::new();
        for command in self.manager.commands {
            let line = format!("{GENTLY} {command}");
            let output = child::output(&line, BOUNDS, self.manager.accepted, clock);
            let output = output.map_err(|reason| problem(command, &reason))?;
            texts.push(String::from_utf8_lossy(&output).into_owned());
        }
        let counts = (self.manager.count)(&texts);
        let command = self.manager.commands.first().unwrap_or(&"");
        let counts = counts.map_err(|reason| problem(command, &reason))?;
        self.last = Some((changed, counts));
        Ok(counts)
    }
}

fn problem(command: &str, reason: &str) -> String {
    format!(
        "updates are not counted: `{command}` {reason}; run it to see why, or set [agent] updates = false"
    )
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

fn counted(counts: Counts) -> impl Iterator<Item = (SeriesKey, i64)> {
    let all = (PACKAGE_UPDATES.series(&[]), counts.all as i64);
    let security = counts.security.map(|count| {
        let kind = [("system.update.kind", "security")];
        (PACKAGE_UPDATES.series(&kind), count as i64)
    });
    std::iter::once(all).chain(security)
}

fn restart() -> [(SeriesKey, i64); 3] {
    let is_kernel = kernel::is_outdated();
    let is_asked_for = RESTART_FILES.iter().any(|path| Path::new(path).exists());
    let of = |reason: &str| REBOOT_REQUIRED.series(&[("system.reboot.reason", reason)]);
    [
        (
            REBOOT_REQUIRED.series(&[]),
            i64::from(is_kernel || is_asked_for),
        ),
        (of("kernel"), i64::from(is_kernel)),
        (of("packages"), i64::from(is_asked_for)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    static ECHO: Manager = Manager {
        program: "sh",
        database: "/",
        watched: &["/proc/self/nothing"],
        commands: &["sh -c 'echo a; exit 100'", "sh -c 'nice; echo b'"],
        accepted: &[100],
        count: |texts| match texts {
            [first, second] if first == "a\n" && second == "19\nb\n" => Ok(Counts {
                all: 7,
                security: Some(2),
            }),
            other => Err(format!("printed {other:?}")),
        },
    };

    static FAILING: Manager = Manager {
        program: "false",
        database: "/",
        watched: &[],
        commands: &["false"],
        accepted: &[],
        count: |_| Ok(Counts::default()),
    };

    #[test]
    fn a_package_manager_runs_with_the_lowest_priority_and_again_only_after_a_change() {
        let clock = Clock::system();
        let mut counting = Counting::new(&ECHO);
        let wanted = Counts {
            all: 7,
            security: Some(2),
        };
        assert_eq!(counting.count(&clock), Ok(wanted));
        let kept = Counts {
            all: 5,
            security: None,
        };
        counting.last.as_mut().unwrap().1 = kept;
        assert_eq!(counting.count(&clock), Ok(kept));
        counting.last.as_mut().unwrap().0 = vec![Some(SystemTime::UNIX_EPOCH)];
        assert_eq!(counting.count(&clock), Ok(wanted));
    }

    #[test]
    fn a_failure_is_noted_and_a_restart_known_nevertheless() {
        let reading = Counting::new(&FAILING).read(&Clock::system());
        assert!(reading.notes[0].contains("`false` failed: exit status: 1"));
        let names = reading
            .values
            .iter()
            .map(|(key, _)| key.metric.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), [REBOOT_REQUIRED.name; 3]);
    }

    #[test]
    fn an_agent_in_a_container_does_not_count_the_updates_of_its_container() {
        let roots = Roots {
            rootfs: "/host".into(),
            ..Roots::default()
        };
        assert!(pending(&roots, &Clock::system()).is_none());
    }

    #[test]
    #[ignore = "needs root"]
    fn the_package_manager_of_this_machine_is_understood() {
        let Some(manager) = MANAGERS.iter().find(|manager| is_installed(manager)) else {
            return;
        };
        let clock = Clock::system();
        let reading = Counting::new(manager).read(&clock);
        assert!(reading.notes.is_empty(), "{:?}", reading.notes);
        assert!(reading.values.len() >= 4);
        if manager.program != "apt-get" {
            return;
        }
        // Counted by apt itself: `12 upgraded, 0 newly installed, …`.
        let summary = child::output(
            &format!("{GENTLY} {}", manager.commands[0]),
            BOUNDS,
            &[],
            &clock,
        )
        .unwrap();
        let summary = String::from_utf8_lossy(&summary).into_owned();
        let line = summary.lines().find(|line| line.contains(" upgraded, "));
        let upgraded = line.and_then(|line| line.split_whitespace().next());
        let upgraded: i64 = upgraded.unwrap().parse().unwrap();
        assert_eq!(reading.values[0].1, upgraded);
    }
}
