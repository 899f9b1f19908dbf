//! `[agent] processes` and `units`: what has to run.

use crate::value::Value;

/// Processes, and units, that one agent watches.
const WATCHED_MAX: usize = 64;

/// Bytes of a name that the kernel keeps of a process (`TASK_COMM_LEN`).
const KERNEL_NAME_MAX: usize = 15;

pub(crate) fn processes(value: &Value) -> Result<Vec<String>, String> {
    let names = list(value, "a list of names such as [\"sshd\", \"postgres\"]")?;
    let name = |name: &String| match name.as_str() {
        "" => Err("a process has a name".to_owned()),
        path if path.contains('/') => Err(format!(
            "{path:?} is a path: write the name of the program, as `ps -o comm` shows it"
        )),
        name if name.len() > 64 => Err(format!("{name:?} is too long for the name of a program")),
        // Longer names are known by their first letters.
        name => Ok(name
            .char_indices()
            .take_while(|(at, c)| at + c.len_utf8() <= KERNEL_NAME_MAX)
            .map(|(_, c)| c)
            .collect()),
    };
    names.iter().map(name).collect()
}

pub(crate) fn units(value: &Value) -> Result<Vec<String>, String> {
    let names = list(value, "a list of units such as [\"nginx.service\"]")?;
    // As systemd.unit(5) has them; they become arguments.
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    let unit = |name: &String| {
        let is_unit = name.len() <= 255 && name.chars().all(fits) && !name.starts_with('-');
        match (is_unit, name.contains('.')) {
            (true, true) => Ok(name.clone()),
            (true, false) if !name.is_empty() => Ok(format!("{name}.service")),
            _ => Err(format!(
                "{name:?} is not the name of a unit; write for example \"nginx.service\" or \"backup.timer\""
            )),
        }
    };
    names.iter().map(unit).collect()
}

fn list<'a>(value: &'a Value, expected: &str) -> Result<&'a [String], String> {
    let names = value.list(expected)?;
    match names.len() {
        count if count > WATCHED_MAX => {
            Err(format!("{count} names are over the limit of {WATCHED_MAX}"))
        }
        _ => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_are_as_the_kernel_keeps_them() {
        let read = |name: &str| processes(&Value::List(vec![name.to_owned()]));
        assert_eq!(read("sshd"), Ok(vec!["sshd".to_owned()]));
        assert_eq!(
            read("systemd-networkd"),
            Ok(vec!["systemd-network".to_owned()])
        );
        for wrong in ["", "/usr/sbin/sshd", &"x".repeat(65)] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn units_are_services_unless_they_say_otherwise_and_no_arguments() {
        let read = |name: &str| units(&Value::List(vec![name.to_owned()]));
        assert_eq!(read("nginx"), Ok(vec!["nginx.service".to_owned()]));
        assert_eq!(read("a@b.timer"), Ok(vec!["a@b.timer".to_owned()]));
        for wrong in [
            "",
            "-x.service",
            "a b.service",
            "a;b.service",
            "$(x).service",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(units(&Value::List(vec!["a".to_owned(); 65])).is_err());
    }
}
