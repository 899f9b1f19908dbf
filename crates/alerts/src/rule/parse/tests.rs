//! Valid and invalid rules.

use super::*;
use proptest::prelude::*;

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn terms(text: &str) -> Vec<Term> {
    match rule(text).condition {
        Condition::All(terms) => terms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_may_follow_in_any_order() {
    let rule = rule("db-memory:  mem > 95%  for 5m clear 90% on db-* critical");
    assert_eq!(
        (rule.hold, rule.severity, rule.to_string().as_str()),
        (
            Duration::from_secs(300),
            Severity::Critical,
            "db-memory: mem > 95% for 5m clear 90% on db-* critical"
        )
    );
    assert_eq!(rule.hosts, "db-*".parse().unwrap());
    let Condition::All(terms) = rule.condition else {
        panic!("no terms")
    };
    assert_eq!(
        (terms[0].threshold.clone(), terms[0].clear.clone()),
        (Bound::Number(0.95), Bound::Number(0.9))
    );
    assert!("own: backup_age_seconds > 90000".parse::<Rule>().is_ok());
    assert!("cold: temp.max < 5 on #cellar".parse::<Rule>().is_ok());
    let several: Rule = "cold: temp.max < 5 on #cellar,db-*, !db-3 critical"
        .parse()
        .unwrap();
    assert_eq!(several.hosts, "#cellar,db-*,!db-3".parse().unwrap());
    assert_eq!(several.severity, Severity::Critical);
}

#[test]
fn every_kind_of_condition_is_parsed() {
    let both = terms(
        "a: cpu > 90% and load5 > 2*system.cpu.logical.count clear 1*system.cpu.logical.count for 5m",
    );
    let count = MetricName::Metric("system.cpu.logical.count".to_owned());
    assert_eq!(both[1].threshold, Bound::Of(2.0, count.clone()));
    assert_eq!(both[1].clear, Bound::Of(1.0, count));
    let rate = terms("a: rate(system.memory.usage) > 1MB/s over 10m");
    assert_eq!(rate[0].measure, Measure::Rate(Duration::from_secs(600)));
    assert_eq!(rate[0].threshold, Bound::Number(1e6));
    let full = terms("a: fs.worst full within 4h clear 8h");
    let hours = |h: u64| Duration::from_secs(h * 3600);
    assert_eq!(full[0].measure, Measure::Within(hours(4), hours(8)));
    assert_eq!(full[0].threshold, Bound::Number(1.0));
    let soon = terms("a: system.linux.memory.available < 1GiB within 1h");
    assert_eq!(soon[0].measure, Measure::Within(hours(1), hours(1) * 3 / 2));
    assert_eq!(
        terms("a: system.filesystem.read_only turns > 0")[0].measure,
        Measure::Turn
    );
    let clock = rule("a: clock off 2s for 1m");
    assert_eq!(clock.condition, Condition::ClockOff(Duration::from_secs(2)));
    let said = rule("a: cpu > 5% say {host} is at {value}");
    assert!(said.say.is_some());
}

#[test]
fn errors_name_the_closest_valid_word() {
    let wrong = [
        ("cpu > 5", "has no name"),
        (
            "a: system.cpu.utilisation > 5",
            "did you mean system.cpu.utilization?",
        ),
        ("a: cpus > 5%", "did you mean cpu?"),
        ("a: sytem.uptime > 5", "did you mean system.uptime?"),
        ("a: my-metric > 5", "cannot be a metric"),
        ("a: cpu => 5", "use > or <"),
        ("a: cpu > five", "not a number"),
        ("a: cpu > 5GB", "write for example 80%"),
        ("a: cpu > 150%", "can never hold"),
        ("a: mem < 0%", "can never hold"),
        ("a: cpu > 5% for ever", "ever"),
        ("a: cpu > 5% critcal", "did you mean \"critical\"?"),
        ("a: cpu > 5% clear 6%", "clear before"),
        ("a: cpu > 90% and cpu < 80%", "can never hold: cpu"),
        ("a: load1 > 2*procs clear 3*procs", "clear before"),
        ("a: load1 > 2*procs clear 3", "another metric"),
        ("a: load1 > 2*prosc", "not a number or a metric"),
        ("a: silent", "has no time"),
        ("a: cpu > 5% on", "ends after"),
        ("a: cpu > 5% on db-1,", "ends after"),
        ("a: cpu > 5% on db-1,,x", "empty entry"),
        ("a: fs.worst full", "has no condition"),
        ("a: fs.worst full for 5m", "full within"),
        ("a: fs.worst full within 4h clear 1h", "clear before"),
        ("a: rate(cpu) > 1% over 1s", "from 10s"),
        ("a: cpu > 5% and", "has no condition"),
        ("a: cpu > 5% say {hosts} is busy", "did you mean \"host\"?"),
        (
            "a: cpu > 5% and cpu > 6% and cpu > 7% and cpu > 8% and cpu > 9%",
            "more than 4",
        ),
    ];
    for (text, expected) in wrong {
        let problem = text.parse::<Rule>().unwrap_err().to_string();
        assert!(problem.contains(expected), "{text}: {problem}");
    }
}

#[test]
fn rules_are_checked_against_each_other_and_known_hosts() {
    let all = |lines: &[&str], hosts: &[&str]| {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        parse_all(&owned(lines), &owned(hosts)).map_err(|(at, error)| (at, error.to_string()))
    };
    let lines = ["a: cpu > 5% on db-1", "b: silent for 5s on db-*"];
    assert_eq!(all(&lines, &["db-1"]).unwrap().len(), 2);
    assert!(all(&lines, &[]).is_ok(), "nobody has joined yet");
    let (at, problem) = all(&["b: mem > 5%", "a: cpu > 5% on bd-1"], &["db-1", "web"]).unwrap_err();
    assert!(
        at == 1 && problem.contains("did you mean \"db-1\"?"),
        "{problem}"
    );
    let (at, _) = all(&["a: cpu > 5% on web,!db-2"], &["db-1", "web"]).unwrap_err();
    assert_eq!(at, 0, "a host that is left out has to exist, too");
    let (at, problem) = all(&["a: mem > 5%", "a: cpu > 5%"], &[]).unwrap_err();
    assert!(
        at == 1 && problem.contains("name of another rule"),
        "{problem}"
    );
}

#[test]
fn deviation_from_the_baseline_is_parsed_in_both_forms() {
    let odd = terms("a: cpu deviates from baseline by 6 for 20m");
    assert_eq!(odd[0].measure, Measure::Deviation);
    let bounds = |term: &Term| (term.threshold.clone(), term.clear.clone());
    assert_eq!(bounds(&odd[0]), (Bound::Number(6.0), Bound::Number(3.0)));
    assert_eq!(odd, terms("a: cpu unlike its week by 6 for 20m"));
    let odd = terms("a: cpu deviates from baseline clear 1 and cpu > 50%");
    assert_eq!(bounds(&odd[0]), (Bound::Number(4.0), Bound::Number(1.0)));
    for (text, why) in [
        ("a: cpu unlike its weak", "unlike its week"),
        ("a: cpu deviates from basline", "deviates from baseline"),
        ("a: cpu deviates from baseline by many", "number of spreads"),
        ("a: cpu deviates from baseline by 0", "number of spreads"),
        (
            "a: cpu deviates from baseline by 3 clear 4",
            "clear before it fires",
        ),
        ("a: rate(cpu) deviates from baseline", "without rate()"),
    ] {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn the_defaults_are_rules() {
    let lines = DEFAULTS.map(str::to_owned);
    assert_eq!(parse_all(&lines, &[]).unwrap().len(), DEFAULTS.len());
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", words in "[a-z:<>% 0-9.*#(){}-]{0,60}") {
        let _ = text.parse::<Rule>();
        let _ = words.parse::<Rule>();
        let _ = format!("a: {words}").parse::<Rule>();
    }
}

#[test]
fn a_list_extends_the_default_rules_and_takes_some_out() {
    let all = |lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let rules = parse_all(&lines, &[]).map_err(|(at, error)| (at, error.to_string()))?;
        Ok(rules.into_iter().map(|rule| rule.name).collect::<Vec<_>>())
    };
    let of_defaults: Vec<String> = DEFAULTS.iter().map(|line| rule(line).name).collect();
    assert_eq!(all(&["defaults"]), Ok(of_defaults.clone()));
    let changed = all(&["defaults", "- hot", "hot: temp.max > 80", "busy: cpu > 99%"]).unwrap();
    assert_eq!(changed.len(), of_defaults.len() + 1);
    assert_eq!(changed[changed.len() - 2..], ["hot", "busy"]);
    let (at, why) = all(&["defaults", "hot: temp.max > 80"]).unwrap_err();
    assert!(
        at == 1 && why.contains("write \"- hot\" before it"),
        "{why}"
    );
    let (at, why) = all(&["defaults", "- hott"]).unwrap_err();
    assert!(at == 1 && why.contains("did you mean \"hot\"?"), "{why}");
    assert!(
        all(&["- hot", "defaults"]).is_err(),
        "only of those before it"
    );
    assert!(all(&["defaults", "defaults"]).is_err());
}
