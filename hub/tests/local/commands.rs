//! Commands beside a running hub, also by another user than the hub's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sysmon_clock::Clock;

use crate::backup::{join, push};
use crate::hub::{LocalHub, USER, outcome};

/// Changes with every command, and checks that each took effect.
fn change_everything(hub: &LocalHub) {
    let created = hub.print(&["token", "create", "--name", "db-1"]);
    assert!(
        created
            .trim()
            .rsplit(' ')
            .next()
            .unwrap()
            .starts_with("sysmon1.")
    );
    let listed = hub.print(&["token", "list"]);
    let id = listed.lines().nth(1).unwrap().split(' ').next().unwrap();
    hub.print(&["token", "revoke", id]);
    assert_eq!(hub.print(&["token", "list"]).lines().count(), 1);
    let out = tempfile::tempdir_in(hub.dir.path()).unwrap().keep();
    let out = out.display().to_string();
    hub.print(&[
        "cert", "issue", "--role", "agent", "--name", "db-1", "--out", &out,
    ]);
    let revoked = hub.print(&["cert", "revoke", "db-1"]);
    assert!(revoked.contains("1 certificate"), "{revoked}");
    let silenced = hub.print(&[
        "alerts",
        "silence",
        "db-1",
        "--for",
        "1h",
        "--reason",
        "new disks",
    ]);
    assert!(silenced.contains("silence 1"), "{silenced}");
    hub.print(&["alerts", "unsilence", "1"]);
    hub.print(&["ca", "rotate"]);
}

#[test]
fn a_second_hub_on_a_state_directory_is_refused_and_names_the_first() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let second = hub.command(&["--listen", "127.0.0.1:0"]).output().unwrap();
    let (code, _, stderr) = outcome(&second);
    let first = format!("sysmon-hub (process {})", hub.child.as_ref().unwrap().id());
    assert!(code == 1 && stderr.contains(&first), "{stderr}");
    assert!(
        hub.print(&["token", "create"]).contains("sysmon1."),
        "the first goes on"
    );
}

#[test]
fn commands_change_the_running_hub_and_the_files_of_a_stopped_one() {
    let mut hub = LocalHub::new(None);
    hub.start();
    change_everything(&hub);
    let (code, _, stderr) = hub.run(&["cert", "revoke", "nobody"]);
    assert!(code == 1 && stderr.contains("nobody"), "{stderr}");
    let (code, _, stderr) = hub.run(&["token", "create", "--role", "hub"]);
    assert!(code == 2 && stderr.contains("choose agent"), "{stderr}");
    retire(&hub);
    hub.stop();
    change_everything(&hub);
}

/// The operator of the hub's machine was counted until it had connected, which it cannot where no hub is running.
#[test]
fn an_authority_is_replaced_while_no_hub_is_running() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let out = hub.state().join("jane");
    let jane = [
        "cert", "issue", "--role", "operator", "--name", "jane", "--out",
    ];
    hub.print(&[&jane[..], &[out.to_str().unwrap()]].concat());
    hub.stop();
    // The authority says to the second when it was created.
    let second = || Clock::system().now().0 / 1000;
    let issued = second();
    hub.wait_for("the next second", || second() > issued);
    hub.print(&["ca", "rotate"]);
    let (code, _, stderr) = hub.run(&["ca", "retire"]);
    assert!(
        code == 1 && stderr.starts_with("sysmon-hub: operator jane would be"),
        "{stderr}"
    );
    hub.print(&["cert", "revoke", "jane"]);
    let retired = hub.print(&["ca", "retire"]);
    assert!(
        retired.starts_with("previous certificate authority retired"),
        "{retired}"
    );
    hub.start();
    hub.print(&["status"]);
}

/// Retires the old authority once the running hub has renewed everybody.
fn retire(hub: &LocalHub) {
    hub.wait_for("the old authority to be needed by nobody", || {
        hub.print(&["status"]);
        hub.run(&["ca", "retire"]).0 == 0
    });
}

#[test]
fn a_state_directory_that_others_can_change_is_refused() {
    let hub = LocalHub::new(None);
    fs::set_permissions(hub.state(), fs::Permissions::from_mode(0o770)).unwrap();
    let (code, _, stderr) = outcome(&hub.command(&["--listen", "127.0.0.1:0"]).output().unwrap());
    assert!(code == 1 && stderr.contains("chmod go-w"), "{stderr}");
}

#[test]
#[ignore = "needs root"]
fn what_root_changes_takes_effect_in_a_hub_of_another_user_and_stays_readable_for_it() {
    let mut hub = LocalHub::new(Some(USER));
    hub.start();
    change_everything(&hub);
    retire(&hub);
    assert_eq!(hub.foreign_files(USER), Vec::<PathBuf>::new());
    hub.stop();
    change_everything(&hub);
    assert_eq!(hub.foreign_files(USER), Vec::<PathBuf>::new());
    hub.start();
    hub.print(&["status"]);
    let as_root = outcome(&hub.command(&["--listen", "127.0.0.1:0"]).output().unwrap());
    assert!(as_root.2.contains("belongs to user 47000"), "{}", as_root.2);
}

#[test]
#[ignore = "needs root"]
fn another_user_than_the_hubs_is_refused() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let mut command = hub.command(&["token", "create"]);
    std::os::unix::process::CommandExt::uid(&mut command, USER);
    let (code, stdout, stderr) = outcome(&command.output().unwrap());
    assert!(code == 1 && stdout.is_empty(), "{stdout}");
    assert!(stderr.contains("as the hub's user or as root"), "{stderr}");
}

#[test]
fn a_renamed_host_keeps_its_history_and_joins_again_under_its_new_name() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let first = join(&hub, "db-1", true).unwrap();
    push(&hub, &first);
    push(&hub, &join(&hub, "web", true).unwrap());
    let (code, _, stderr) = hub.run(&["host", "rename", "db-1", "db-2"]);
    assert!(code == 1 && stderr.contains("is live"), "{stderr}");
    hub.wait_for("the hosts to be silent", || {
        !hub.print(&["host", "list"]).contains("live")
    });
    let silence = [
        "alerts",
        "silence",
        "db-1",
        "--for",
        "1h",
        "--reason",
        "new disks",
    ];
    hub.print(&silence);
    for (old, new, wrong) in [
        ("db-1", "WEB", "there is a host web"),
        ("db-1", "db-1", "there is a host db-1"),
        ("db-9", "db-2", "there is no host"),
    ] {
        let (code, _, stderr) = hub.run(&["host", "rename", old, new]);
        assert!(code == 2 && stderr.contains(wrong), "{stderr}");
    }
    let said = hub.print(&["host", "rename", "db-1", "db-2"]);
    assert!(said.contains("token create --name db-2"), "{said}");
    let listed = hub.print(&["host", "list"]);
    assert!(
        !listed.contains("db-1") && listed.contains("db-2"),
        "{listed}"
    );
    assert!(hub.print(&["alerts", "silences"]).contains("db-2"));
    assert!(
        push(&hub, &first).waiting > 0,
        "its certificate is of the old name"
    );
    let second = join(&hub, "db-2", true).unwrap();
    assert_eq!(push(&hub, &second).waiting, 0);
    assert_eq!(hub.print(&["host", "list"]).matches("db-2").count(), 1);
    // The old name is free.
    join(&hub, "db-1", false).unwrap();
    hub.stop();
    let (code, _, stderr) = hub.run(&["host", "rename", "db-2", "web"]);
    assert!(
        code == 2 && stderr.contains("there is a host web"),
        "{stderr}"
    );
    hub.print(&["host", "rename", "db-2", "db-3"]);
    let audit = hub.print(&["audit"]);
    assert!(
        audit.contains("renamed") && audit.contains("to db-3"),
        "{audit}"
    );
    hub.start();
    assert!(hub.print(&["host", "list"]).contains("db-3"));
}

#[test]
fn a_host_that_is_gone_is_forgotten_with_its_history_and_frees_its_name() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let gone = join(&hub, "db-1", true).unwrap();
    push(&hub, &gone);
    let (code, _, stderr) = hub.run(&["host", "forget", "db-1"]);
    assert!(code == 1 && stderr.contains("is live"), "{stderr}");
    let (code, _, stderr) = hub.run(&["host", "forget", "db-2"]);
    assert!(code == 2 && stderr.contains("db-1"), "{stderr}");
    hub.print(&["cert", "revoke", "db-1"]);
    hub.wait_for("the host to be silent", || {
        !hub.print(&["host", "list"]).contains("live")
    });
    assert!(join(&hub, "db-1", false).unwrap_err().contains("is taken"));
    hub.print(&["host", "forget", "db-1"]);
    assert!(!hub.print(&["host", "list"]).contains("db-1"));
    let new = join(&hub, "db-1", false).unwrap();
    let pushed = push(&hub, &new);
    assert_eq!(pushed.waiting, 0);
    assert!(push(&hub, &gone).waiting > 0, "it stays revoked");
    hub.stop();
    hub.print(&["host", "forget", "db-1"]);
    let (code, _, stderr) = hub.run(&["host", "forget", "db-1"]);
    assert!(code == 2 && stderr.contains("there is no host"), "{stderr}");
}
