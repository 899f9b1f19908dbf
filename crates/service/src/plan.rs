//! What to do for a service, as steps. Pure.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::{Manager, Service};

/// Places of units that a package installed.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// Directories that the units' sandbox hides.
const HIDDEN: [&str; 3] = ["/home", "/root", "/tmp"];

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Writes a file.
    Write {
        path: PathBuf,
        text: String,
        mode: u32,
    },
    /// Removes a file, if it is there.
    Remove(PathBuf),
    /// Runs a command, which must succeed.
    Run(Vec<String>),
    /// Runs a command whose failure changes nothing: what it would undo is not there.
    Try(Vec<String>),
    /// Remarks something.
    Note(String),
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn command(line: &[&str]) -> Step {
    Step::Run(words(line))
}

/// What is known of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) manager: Manager,
    /// The program's file.
    pub(crate) binary: PathBuf,
    /// Whether a package brought the unit.
    pub(crate) is_packaged: bool,
    /// Whether the program's user exists.
    pub(crate) has_user: bool,
    /// Whether `useradd` exists; `adduser` otherwise.
    pub(crate) has_useradd: bool,
}

impl Machine {
    pub(crate) fn of(service: &Service, manager: Manager, binary: PathBuf) -> Self {
        let unit = format!("{}.service", service.program);
        let exists = |folder: &&str| Path::new(folder).join(&unit).exists();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = format!("{}:", service.program);
        Self {
            manager,
            binary,
            is_packaged: PACKAGED.iter().any(exists),
            has_user: users.lines().any(|line| line.starts_with(&user)),
            has_useradd: ["/usr/sbin/useradd", "/sbin/useradd"]
                .iter()
                .any(|path| Path::new(path).exists()),
        }
    }

    fn file(&self, service: &Service) -> PathBuf {
        let program = service.program;
        PathBuf::from(match self.manager {
            Manager::Systemd => format!("/etc/systemd/system/{program}.service"),
            Manager::Openrc => format!("/etc/init.d/{program}"),
            Manager::Launchd => format!("/Library/LaunchDaemons/{program}.plist"),
        })
    }

    /// The file of the service.
    fn text(&self, service: &Service) -> String {
        let binary = self.binary.display().to_string();
        let template = match self.manager {
            Manager::Systemd => {
                // The comments at the beginning say how to do by hand what this does.
                let unit = service.unit.find("[Unit]").map(|at| &service.unit[at..]);
                let own = format!("/usr/local/bin/{}", service.program);
                return unit.unwrap_or(service.unit).replace(&own, &binary);
            }
            Manager::Openrc => include_str!("openrc.in"),
            Manager::Launchd => include_str!("launchd.in"),
        };
        template
            .replace("BINARY", &binary)
            .replace("PROGRAM", service.program)
            .replace("STATE", service.state)
            .replace("ABOUT", service.about)
            .replace("CAPABILITIES", service.capabilities)
    }

    fn add_user(&self, service: &Service) -> Vec<Step> {
        let name = service.program;
        let [home, shell] = ["/nonexistent", "/sbin/nologin"];
        match (self.has_user, self.has_useradd) {
            (true, _) => Vec::new(),
            (false, true) => vec![command(&[
                "useradd",
                "--system",
                "--user-group",
                "--home-dir",
                home,
                "--no-create-home",
                "--shell",
                shell,
                name,
            ])],
            (false, false) => vec![
                command(&["addgroup", "-S", name]),
                command(&[
                    "adduser", "-S", "-D", "-H", "-h", home, "-s", shell, "-G", name, name,
                ]),
            ],
        }
    }

    pub(crate) fn install(&self, service: &Service) -> Result<Vec<Step>> {
        let program = service.program;
        let text = self.binary.to_string_lossy();
        let hidden = HIDDEN.iter().find(|dir| self.binary.starts_with(dir));
        if let Some(dir) = hidden {
            ensure!(
                self.is_packaged,
                "a service cannot run {text}, because it sees nothing of {dir}: copy the program to /usr/local/bin first"
            );
        }
        ensure!(
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "/-._+".contains(c)),
            "{text:?} has characters that service files treat specially: copy the program to /usr/local/bin first"
        );
        let path = self.file(service);
        let write = |mode| Step::Write {
            path: path.clone(),
            text: self.text(service),
            mode,
        };
        Ok(match self.manager {
            Manager::Systemd => {
                let mut steps = Vec::new();
                if !self.is_packaged {
                    steps.push(write(0o644));
                }
                steps.push(command(&["systemctl", "daemon-reload"]));
                steps.push(command(&["systemctl", "enable", program]));
                steps.push(command(&["systemctl", "restart", program]));
                steps
            }
            Manager::Openrc => {
                let mut steps = self.add_user(service);
                steps.push(write(0o755));
                steps.push(command(&["rc-update", "add", program, "default"]));
                steps.push(command(&["rc-service", program, "restart"]));
                steps
            }
            Manager::Launchd => vec![
                write(0o644),
                Step::Try(words(&[
                    "launchctl",
                    "bootout",
                    &format!("system/{program}"),
                ])),
                command(&["launchctl", "bootstrap", "system", &path.to_string_lossy()]),
            ],
        })
    }

    pub(crate) fn status(&self, service: &Service) -> Vec<Step> {
        let program = service.program;
        vec![match self.manager {
            Manager::Systemd => command(&["systemctl", "status", "--no-pager", program]),
            Manager::Openrc => command(&["rc-service", program, "status"]),
            Manager::Launchd => command(&["launchctl", "print", &format!("system/{program}")]),
        }]
    }

    pub(crate) fn uninstall(&self, service: &Service) -> Vec<Step> {
        let program = service.program;
        let remove = Step::Remove(self.file(service));
        let mut steps = match self.manager {
            Manager::Systemd => vec![
                Step::Try(words(&["systemctl", "disable", "--now", program])),
                remove,
                command(&["systemctl", "daemon-reload"]),
            ],
            Manager::Openrc => vec![
                Step::Try(words(&["rc-service", program, "stop"])),
                Step::Try(words(&["rc-update", "del", program, "default"])),
                remove,
            ],
            Manager::Launchd => vec![
                Step::Try(words(&[
                    "launchctl",
                    "bootout",
                    &format!("system/{program}"),
                ])),
                remove,
            ],
        };
        steps.push(Step::Note(format!(
            "the identity and all state stay in /var/lib/sysmon/{}",
            service.state
        )));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Service = Service {
        program: "sysmon-agent",
        state: "agent",
        about: "an agent",
        unit: include_str!("../../../agent/sysmon-agent.service"),
        capabilities: "^cap_sys_ptrace",
    };

    fn machine(manager: Manager) -> Machine {
        Machine {
            manager,
            binary: "/opt/sysmon/sysmon-agent".into(),
            is_packaged: false,
            has_user: false,
            has_useradd: false,
        }
    }

    fn shown(steps: &[Step]) -> Vec<String> {
        let show = |step: &Step| match step {
            Step::Write { path, .. } => format!("write {}", path.display()),
            Step::Remove(path) => format!("remove {}", path.display()),
            Step::Run(words) => words.join(" "),
            Step::Try(words) => format!("try {}", words.join(" ")),
            Step::Note(_) => "note".to_owned(),
        };
        steps.iter().map(show).collect()
    }

    #[test]
    fn systemd_gets_a_unit_that_starts_this_program_unless_a_package_brought_one() {
        let machine = machine(Manager::Systemd);
        let steps = machine.install(&AGENT).unwrap();
        let Some(Step::Write { text, .. }) = steps.first() else {
            panic!("{steps:?}");
        };
        assert!(text.starts_with("[Unit]"));
        assert!(
            text.contains("ExecStart=/opt/sysmon/sysmon-agent --state /var/lib/sysmon/agent\n")
        );
        assert!(!text.contains("/usr/local"));
        let packaged = Machine {
            is_packaged: true,
            ..machine
        };
        let expected = [
            "systemctl daemon-reload",
            "systemctl enable sysmon-agent",
            "systemctl restart sysmon-agent",
        ];
        assert_eq!(shown(&packaged.install(&AGENT).unwrap()), expected);
        assert_eq!(shown(&steps)[1..], expected);
    }

    #[test]
    fn templates_are_filled_in_completely() {
        for manager in [Manager::Openrc, Manager::Launchd] {
            let text = machine(manager).text(&AGENT);
            for gap in ["PROGRAM", "BINARY", "STATE", "ABOUT", "CAPABILITIES"] {
                assert!(!text.contains(gap), "{gap} in {text}");
            }
            assert!(text.contains("/opt/sysmon/sysmon-agent"));
        }
    }

    #[test]
    fn openrc_gets_a_user_only_where_there_is_none() {
        let mut machine = machine(Manager::Openrc);
        let steps = shown(&machine.install(&AGENT).unwrap());
        assert_eq!(steps[0], "addgroup -S sysmon-agent");
        machine.has_user = true;
        let steps = shown(&machine.install(&AGENT).unwrap());
        assert_eq!(steps[0], "write /etc/init.d/sysmon-agent");
    }

    #[test]
    fn uninstalling_removes_what_installing_wrote() {
        for manager in [Manager::Systemd, Manager::Openrc, Manager::Launchd] {
            let machine = machine(manager);
            let wrote = machine.install(&AGENT).unwrap().into_iter();
            let wrote = wrote.filter_map(|step| match step {
                Step::Write { path, .. } => Some(Step::Remove(path)),
                _ => None,
            });
            let removed = machine.uninstall(&AGENT);
            for step in wrote {
                assert!(removed.contains(&step), "{step:?}");
            }
        }
    }

    #[test]
    fn a_program_that_the_sandbox_hides_or_that_a_unit_cannot_name_is_refused() {
        for binary in [
            "/root/sysmon-agent",
            "/tmp/sysmon-agent",
            "/opt/my files/%n",
        ] {
            let machine = Machine {
                binary: binary.into(),
                ..machine(Manager::Systemd)
            };
            let error = machine.install(&AGENT).unwrap_err().to_string();
            assert!(error.contains("/usr/local/bin"), "{error}");
        }
    }
}
