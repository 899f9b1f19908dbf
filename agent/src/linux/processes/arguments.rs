//! The arguments of a process, as they are shown: of one line, with secrets replaced. Pure.
//!
//! Rather too much is hidden than too little: operators who see a host's processes need not know its passwords.

use sysmon_config::Arguments;
use sysmon_wire::limits::LABEL_BYTES_MAX;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// Parts of a name that make its value a secret, wherever they are in it.
const SECRET_PARTS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "credential",
    "authorization",
];

/// Words of a name that make its value a secret, alone or at the end of a longer one: `api-key`, `APIKEY`, `dbpass`.
const SECRET_WORDS: [&str; 8] = [
    "pass", "key", "keys", "pwd", "pw", "creds", "bearer", "cookie",
];

/// Flags whose value is a name and a password, with a colon between them.
const USER_FLAGS: [&str; 5] = ["-u", "--user", "--proxy-user", "--creds", "-U"];

/// How programs get a password by a short flag: in the same argument, or in the next.
struct Client {
    programs: &'static [&'static str],
    attached: &'static [&'static str],
    separate: &'static [&'static str],
}

const CLIENTS: [Client; 9] = [
    Client {
        programs: &["mysql", "mariadb", "mycli"],
        attached: &["-p"],
        separate: &[],
    },
    Client {
        programs: &["sshpass"],
        attached: &["-p"],
        separate: &["-p"],
    },
    Client {
        programs: &["redis-cli", "valkey-cli", "keydb-cli"],
        attached: &["-a"],
        separate: &["-a"],
    },
    Client {
        programs: &["mongo"],
        attached: &["-p"],
        separate: &["-p"],
    },
    Client {
        programs: &["ldap"],
        attached: &["-w"],
        separate: &["-w", "-s"],
    },
    Client {
        programs: &[
            "mosquitto_",
            "sqlcmd",
            "bcp",
            "isql",
            "tsql",
            "ipmitool",
            "unzip",
            "zip",
        ],
        attached: &["-P"],
        separate: &["-P"],
    },
    Client {
        programs: &["7z", "rar", "unrar"],
        attached: &["-p", "-hp"],
        separate: &[],
    },
    Client {
        programs: &["snmp"],
        attached: &[],
        separate: &["-c", "-A", "-X"],
    },
    Client {
        programs: &["xfreerdp", "wlfreerdp", "rdesktop"],
        attached: &["/p:"],
        separate: &["-p"],
    },
];

/// Letters of a word that may be a key: so many of hexadecimal digits, or of mixed letters and digits.
const HEX_MIN: usize = 24;
const MIXED_MIN: usize = 20;
const PLAIN_MIN: usize = 32;

/// What is shown of the bytes of `/proc/PID/cmdline` of a process whose program is called `name`; `is_cut` if there may be
/// more of them.
pub(super) fn shown(cmdline: &[u8], name: &str, is_cut: bool, mode: Arguments) -> String {
    if mode == Arguments::None {
        return String::new();
    }
    let text = String::from_utf8_lossy(cmdline);
    let mut arguments: Vec<&str> = text.split('\0').collect();
    while arguments.last().is_some_and(|last| last.trim().is_empty()) {
        arguments.pop();
    }
    if is_cut {
        // Half a secret no longer looks like one.
        arguments.pop();
    }
    let line = match mode {
        Arguments::Full => arguments.join(" "),
        _ => redacted(&arguments),
    };
    let line: Vec<&str> = line.split_whitespace().collect();
    let line = line.join(" ");
    let rest = match arguments.len() {
        // A title that the program wrote itself: `postgres: walwriter`, `sshd: ops@pts/0`.
        1 => after_name(&line, name),
        _ => line.split_once(' ').map_or("", |(_, rest)| rest),
    };
    cut(rest).to_owned()
}

/// What follows the program's own name, if the line begins with it.
fn after_name<'a>(line: &'a str, name: &str) -> &'a str {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let program = base(first).trim_start_matches('-').trim_end_matches(':');
    match program == base(name) || rest.is_empty() {
        true => rest,
        false => line,
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(LABEL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[derive(Default)]
struct Redaction {
    /// The program whose flags are meant.
    client: Option<&'static Client>,
    /// What the next word is.
    next: Next,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Next {
    #[default]
    Plain,
    Secret,
    /// A name and a password.
    Login,
}

/// The arguments in one line, with secrets replaced.
fn redacted(arguments: &[&str]) -> String {
    let mut redaction = Redaction::default();
    let all = arguments
        .iter()
        .map(|argument| redaction.argument(argument));
    all.collect::<Vec<_>>().join(" ")
}

impl Redaction {
    fn argument(&mut self, argument: &str) -> String {
        if self.next == Next::Secret {
            // As a whole: it may contain blanks.
            return self.hide(argument);
        }
        if let Some(name) = header(argument) {
            return format!("{name}: {HIDDEN}");
        }
        let words = argument.split_whitespace().map(|word| match self.next {
            Next::Secret => self.hide(word),
            Next::Login if !is_flag_of_secret(word) => {
                self.next = Next::Plain;
                login(word)
            }
            Next::Login | Next::Plain => self.word(word),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Hides what follows a flag. If that is such a flag itself, either of the two may have the secret.
    fn hide(&mut self, text: &str) -> String {
        if !is_flag_of_secret(text) {
            self.next = Next::Plain;
        }
        HIDDEN.to_owned()
    }

    fn word(&mut self, word: &str) -> String {
        self.next = Next::Plain;
        let program = base(word);
        let is_client = |client: &&Client| {
            let mut programs = client.programs.iter();
            programs.any(|start| program.starts_with(start))
        };
        if let Some(client) = CLIENTS
            .iter()
            .find(is_client)
            .filter(|_| !word.starts_with('-'))
        {
            self.client = Some(client);
        }
        if let Some(hidden) = self.of_client(word) {
            return hidden;
        }
        let quoted = word.trim_matches(['"', '\'', '{', '}', '(', ')', ',', ';']);
        if quoted.starts_with('-') && USER_FLAGS.contains(&quoted) {
            self.next = Next::Login;
            return word.to_owned();
        }
        if is_flag_of_secret(quoted) {
            self.next = Next::Secret;
            return word.to_owned();
        }
        parts(word)
    }

    fn of_client(&mut self, word: &str) -> Option<String> {
        let client = self.client?;
        if client.separate.contains(&word) {
            self.next = Next::Secret;
            return Some(word.to_owned());
        }
        let flag = client
            .attached
            .iter()
            .find(|flag| word.starts_with(**flag) && word.len() > flag.len())?;
        if is_flag_of_secret(word) {
            self.next = Next::Secret;
        }
        Some(format!("{flag}{HIDDEN}"))
    }
}

/// The name of a header whose value is a secret: of `Authorization: Bearer x`, which is one argument.
fn header(argument: &str) -> Option<&str> {
    let (name, value) = argument.split_once(':')?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (is_name && value.starts_with(' ') && is_secret_name(name)).then_some(name)
}

/// Whether a word is a flag whose value, a secret, is the next: `--password`, `-token`. A lone word is no flag.
fn is_flag_of_secret(word: &str) -> bool {
    let name = word.trim_start_matches('-').trim_end_matches(':');
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    name.len() < word.len() && name.len() > 1 && name.bytes().all(is_name) && is_secret_name(name)
}

fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    if SECRET_PARTS.iter().any(|part| lower.contains(part)) {
        return true;
    }
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| SECRET_WORDS.iter().any(|secret| word.ends_with(secret)))
}

/// A word of assignments, addresses and plain parts, each redacted for itself.
fn parts(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for part in word.split_inclusive(['&', ';', ',', '?', '|']) {
        let end = part.len() - usize::from(part.ends_with(['&', ';', ',', '?', '|']));
        let (body, mark) = part.split_at(end);
        out.push_str(&assignment(body));
        out.push_str(mark);
    }
    match out.contains("://") {
        true => address(&out),
        false => out,
    }
}

/// `NAME=VALUE` or `NAME:VALUE`, of which a secret value is hidden.
fn assignment(text: &str) -> String {
    // Base64 ends with such signs.
    if text.ends_with('=') && !text.trim_end_matches('=').contains(['=', ':']) {
        return opaque(text);
    }
    let at = text.find('=').or_else(|| {
        let at = text.find(':')?;
        // That of an address is none.
        (!text.get(at..)?.starts_with("://")).then_some(at)
    });
    let split = at.and_then(|at| Some((text.get(..at)?, text.get(at..=at)?, text.get(at + 1..)?)));
    let Some((name, sign, value)) = split else {
        return opaque(text);
    };
    if value.is_empty() {
        return text.to_owned();
    }
    let quotes = ['"', '\'', '{', '[', '(', '-', '/'];
    if is_secret_name(name.trim_matches(quotes)) {
        return format!("{name}{sign}{HIDDEN}");
    }
    // The value may be an assignment itself: `-e PASSWORD=x`, `--env=PASSWORD=x`.
    format!("{}{sign}{}", opaque(name), assignment(value))
}

/// A name and a password with a colon between them.
fn login(text: &str) -> String {
    match text.split_once([':', '%']) {
        Some((name, _)) => {
            let sign = text.get(name.len()..=name.len()).unwrap_or(":");
            format!("{name}{sign}{HIDDEN}")
        }
        None => parts(text),
    }
}

/// An address without its password: `https://jane:***@example.org`.
fn address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    // A password may contain any sign, also another at.
    let Some((who, place)) = rest.rsplit_once('@') else {
        return text.to_owned();
    };
    let who = match who.split_once(':') {
        Some((name, _)) => format!("{name}:{HIDDEN}"),
        None if who.len() >= MIXED_MIN => HIDDEN.to_owned(),
        None => who.to_owned(),
    };
    format!("{scheme}://{who}@{place}")
}

/// Hides the words of a text that look like keys: long ones of hexadecimal digits or base64.
fn opaque(text: &str) -> String {
    let is_of_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_of_key(c)).unwrap_or(rest.len());
        let (run, other) = rest.split_at(end);
        out.push_str(&of_run(run));
        let other_end = other.find(is_of_key).unwrap_or(other.len());
        let (between, next) = other.split_at(other_end);
        out.push_str(between);
        rest = next;
    }
    out
}

fn of_run(run: &str) -> String {
    // Keys in base64 may contain slashes; paths begin with one, or are of short parts.
    let is_path = run.starts_with('/') || run.split('/').count() > 3;
    if !is_path {
        return if is_key(run) {
            HIDDEN.to_owned()
        } else {
            run.to_owned()
        };
    }
    let part = |part: &str| {
        if is_key(part) {
            HIDDEN.to_owned()
        } else {
            part.to_owned()
        }
    };
    run.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn is_key(word: &str) -> bool {
    let word = word.trim_matches(['-', '=']);
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let (digits, lower, upper) = (
        count(u8::is_ascii_digit),
        count(u8::is_ascii_lowercase),
        count(u8::is_ascii_uppercase),
    );
    let has_run = |min: usize| {
        let mut runs = word.split(|c: char| !c.is_ascii_hexdigit());
        runs.any(|run| run.len() >= min && run.bytes().any(|b| b.is_ascii_digit()))
    };
    let is_mixed = word.len() >= MIXED_MIN && digits > 0 && upper > 0 && (lower > 0 || digits > 2);
    let is_plain = word.len() >= PLAIN_MIN && digits > 5 && !word.contains('-');
    has_run(HEX_MIN) || is_mixed || is_plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(arguments: &[&str]) -> String {
        shown(
            arguments.join("\0").as_bytes(),
            arguments[0],
            false,
            Arguments::Redacted,
        )
    }

    #[test]
    fn values_of_flags_and_assignments_named_like_secrets_are_hidden() {
        for (arguments, wanted) in [
            (
                &["app", "--password", "hunter2", "-v"][..],
                "--password *** -v",
            ),
            (&["app", "--password=hunter2"], "--password=***"),
            (&["app", "-passwd", "x y z", "file"], "-passwd *** file"),
            (
                &["app", "--db-pass=hunter2", "--passive"],
                "--db-pass=*** --passive",
            ),
            (&["app", "--api-key", "hunter2"], "--api-key ***"),
            (&["app", "--keyspace", "shop"], "--keyspace shop"),
            (&["app", "--auth-token:hunter2"], "--auth-token:***"),
            (&["env", "PASSWORD=hunter2", "app"], "PASSWORD=*** app"),
            (
                &["docker", "run", "-e", "MYSQL_ROOT_PASSWORD=hunter2", "img"],
                "run -e MYSQL_ROOT_PASSWORD=*** img",
            ),
            (
                &["docker", "run", "--env=APIKEY=hunter2"],
                "run --env=APIKEY=***",
            ),
            (
                &[
                    "java",
                    "-Djavax.net.ssl.keyStorePassword=hunter2",
                    "-jar",
                    "a.jar",
                ],
                "-Djavax.net.ssl.keyStorePassword=*** -jar a.jar",
            ),
            (
                &["curl", "-H", "Authorization: Bearer hunter2"],
                "-H Authorization: ***",
            ),
            (
                &["curl", "-H", "X-Api-Key: hunter2 more"],
                "-H X-Api-Key: ***",
            ),
            (
                &["curl", "-d", "{\"password\":\"hunter2\"}"],
                "-d {\"password\":***",
            ),
            (
                &["curl", "-d", "a=1&token=hunter2&b=2"],
                "-d a=1&token=***&b=2",
            ),
            (&["openssl", "-passin", "pass:hunter2"], "-passin pass:***"),
            (
                &["psql", "host=db user=shop password=hunter2"],
                "host=db user=shop password=***",
            ),
            (&["sh", "-c", "mysql -phunter2 shop"], "-c mysql -p*** shop"),
            (
                &["sh", "-c", "app --secret hunter2 && b"],
                "-c app --secret *** && b",
            ),
        ] {
            assert_eq!(of(arguments), wanted, "{arguments:?}");
        }
    }

    #[test]
    fn passwords_of_the_usual_clients_are_hidden() {
        for (arguments, wanted) in [
            (
                &["/usr/bin/mysql", "-u", "root", "-phunter2", "shop"][..],
                "-u root -p*** shop",
            ),
            (&["mysqldump", "-p", "shop"], "-p shop"),
            (&["mariadb-dump", "-phunter2"], "-p***"),
            (
                &["sudo", "mysqladmin", "-phunter2", "status"],
                "mysqladmin -p*** status",
            ),
            (&["sshpass", "-p", "hunter2", "ssh", "a"], "-p *** ssh a"),
            (&["redis-cli", "-a", "hunter2", "ping"], "-a *** ping"),
            (&["mongosh", "-u", "a", "-p", "hunter2"], "-u a -p ***"),
            (&["ldapsearch", "-w", "hunter2"], "-w ***"),
            (
                &["mosquitto_pub", "-P", "hunter2", "-t", "x"],
                "-P *** -t x",
            ),
            (&["7z", "a", "-phunter2", "x.7z"], "a -p*** x.7z"),
            (
                &["curl", "-u", "jane:hunter2", "http://a/"],
                "-u jane:*** http://a/",
            ),
            (&["smbclient", "-U", "jane%hunter2"], "-U jane%***"),
            (&["rsync", "-p", "src", "dst"], "-p src dst"),
            (&["docker", "run", "-p", "80:80"], "run -p 80:80"),
        ] {
            assert_eq!(of(arguments), wanted, "{arguments:?}");
        }
    }

    #[test]
    fn credentials_in_addresses_are_hidden() {
        for (arguments, wanted) in [
            (
                &["app", "postgres://shop:hunter2@db:5432/shop"][..],
                "postgres://shop:***@db:5432/shop",
            ),
            (
                &["app", "--url=amqp://a:hun@ter2@mq/"],
                "--url=amqp://a:***@mq/",
            ),
            (
                &["app", "https://ghp_AbCdEf0123456789AbCdEf@github.com/x"],
                "https://***@github.com/x",
            ),
            (
                &["git", "clone", "ssh://git@example.org/x"],
                "clone ssh://git@example.org/x",
            ),
            (
                &["app", "http://a/b?token=hunter2&x=1"],
                "http://a/b?token=***&x=1",
            ),
            (
                &["app", "http://example.org:8080/path"],
                "http://example.org:8080/path",
            ),
        ] {
            assert_eq!(of(arguments), wanted, "{arguments:?}");
        }
    }

    #[test]
    fn long_hexadecimal_and_base64_words_are_hidden_and_paths_are_not() {
        for secret in [
            "d41d8cd98f00b204e9800998ecf8427e",
            "AKIA1234567890ABCDEF",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
            "eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIx",
            "c2VjcmV0IHRoYXQgaXMgbG9uZzEyMw==",
        ] {
            let seen = of(&["app", secret, "--x", &format!("--id={secret}")]);
            assert_eq!(seen, "*** --x --id=***", "{secret}");
        }
        for plain in [
            "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
            "/var/lib/postgresql/17/main",
            "--config=/etc/postgresql/17/main/postgresql.conf",
            "-Xmx4096m",
            "org.apache.catalina.startup.Bootstrap",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "2026-05-04T13:00:00",
            "--max-concurrent-requests-per-host=200",
            "linux-image-6.12.0-amd64-unsigned",
        ] {
            assert_eq!(of(&["app", plain]), plain);
        }
    }

    #[test]
    fn titles_that_programs_write_themselves_are_shown_without_their_name() {
        let of =
            |cmdline: &str, name: &str| shown(cmdline.as_bytes(), name, false, Arguments::Redacted);
        assert_eq!(
            of(
                "postgres: walwriter\0\0\0",
                "/usr/lib/postgresql/17/bin/postgres"
            ),
            "walwriter"
        );
        assert_eq!(of("sshd: ops@pts/0", "sshd"), "ops@pts/0");
        assert_eq!(
            of("nginx: master process /usr/sbin/nginx", "nginx"),
            "master process /usr/sbin/nginx"
        );
        assert_eq!(of("-bash\0", "bash"), "");
        assert_eq!(of("/usr/sbin/cron\0-f\0", "cron"), "-f");
        assert_eq!(
            of("/usr/bin/python3\0app.py\0--port\08080\0", "python3"),
            "app.py --port 8080"
        );
        assert_eq!(of("", "kthreadd"), "");
        assert_eq!(of("a\0x\ny\t z\0", "a"), "x y z");
    }

    #[test]
    fn none_shows_nothing_full_hides_nothing_and_a_cut_argument_is_left_out() {
        let line = b"app\0--password\0hunter2\0tail";
        let of = |is_cut, mode| shown(line, "app", is_cut, mode);
        assert_eq!(of(false, Arguments::None), "");
        assert_eq!(of(false, Arguments::Full), "--password hunter2 tail");
        assert_eq!(of(true, Arguments::Redacted), "--password ***");
        let long = ["app".to_owned(), "é".repeat(400)].join("\0");
        assert!(shown(long.as_bytes(), "app", false, Arguments::Full).len() <= LABEL_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for mode in [Arguments::Redacted, Arguments::Full] {
                prop_assert!(shown(&bytes, "app", false, mode).len() <= LABEL_BYTES_MAX);
            }
        }

        #[test]
        fn a_planted_secret_is_never_shown(
            before in proptest::collection::vec("[ -~]{0,20}", 0..4),
            after in proptest::collection::vec("[ -~]{0,20}", 0..4),
            name in "(--?)?([a-z]{0,4}[-_])?(password|passwd|pass|(secret|token|key|credential)s?)",
            place in 0..3usize,
        ) {
            let secret = "hUnter2xyzzy";
            let planted = match place {
                0 => vec![format!("--{}", name.trim_start_matches('-')), secret.to_owned()],
                1 => vec![format!("{name}={secret}")],
                _ => vec![format!("https://jane:{secret}@example.org/")],
            };
            let all: Vec<String> = std::iter::once("app".to_owned())
                .chain(before)
                .chain(planted)
                .chain(after)
                .collect();
            let seen = shown(all.join("\0").as_bytes(), "app", false, Arguments::Redacted);
            prop_assert!(!seen.contains(secret), "{all:?}: {seen}");
        }
    }
}
