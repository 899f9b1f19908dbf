//! The summary that a rule defines after `say`: a text with `{fields}`.

use sysmon_config::suggest;

/// Names that may stand in braces.
const FIELDS: [&str; 7] = [
    "host",
    "what",
    "value",
    "threshold",
    "metric",
    "rule",
    "severity",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(&'static str),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("has an unclosed {{ in {text:?}"))?;
            let field = FIELDS.iter().find(|field| **field == name);
            let field = field.ok_or_else(|| {
                let hint = suggest(name, FIELDS);
                format!("uses the unknown field {{{name}}}{hint}")
            })?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    pub(crate) fn fill(&self, field: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(name) => field(name),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_replaced_and_unknown_ones_rejected() {
        let template = Template::parse("{what} on {host}: {value}!").unwrap();
        assert_eq!(template.fill(str::to_uppercase), "WHAT on HOST: VALUE!");
        let wrong = Template::parse("{hosst}").unwrap_err();
        assert!(wrong.contains("did you mean \"host\"?"), "{wrong}");
        assert!(Template::parse("{host").is_err());
    }
}
