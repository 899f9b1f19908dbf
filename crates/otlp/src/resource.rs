//! Who a resource is: the host that it names, facts about that host, and what tells its parts apart. Pure.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use sysmon_wire::Label;
use sysmon_wire::limits::LABEL_BYTES_MAX;

use crate::rejections::Reason;

/// How the host of a resource is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By the sender's certificate; a resource that names another host is refused.
    Certificate(Label),
    /// By the resource.
    Resource,
}

/// Attributes of a resource that tell apart what one host reports several times: services, containers, processes.
const PARTS: [&str; 8] = [
    "service.name",
    "service.instance.id",
    "container.name",
    "container.id",
    "k8s.namespace.name",
    "k8s.pod.name",
    "process.executable.name",
    "process.pid",
];

/// Facts in a resource; empty where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) id: String,
    pub(crate) os: String,
    pub(crate) kernel: String,
    pub(crate) arch: String,
    pub(crate) cpu_model: String,
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value.as_ref()?.value {
        Some(Value::StringValue(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A value as the text of a label.
pub(crate) fn label(value: Option<&AnyValue>) -> Result<Label, Reason> {
    let text = match value.and_then(|value| value.value.as_ref()) {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(_) => return Err(Reason::AttributeType),
    };
    if text.len() > LABEL_BYTES_MAX {
        return Err(Reason::Name);
    }
    Ok(Label::new(&text))
}

impl Naming {
    /// The host that a resource belongs to.
    pub(crate) fn host(&self, resource: &Resource) -> Result<Label, Reason> {
        let named = text(&resource.attributes, "host.name");
        match (self, named) {
            (Self::Certificate(own), None) => Ok(own.clone()),
            (Self::Certificate(own), Some(named)) if is_same_host(own.as_str(), named) => {
                Ok(own.clone())
            }
            (Self::Certificate(own), Some(named)) => Err(Reason::Host(format!(
                "of host {}, while the certificate is that of {own}: leave host.name out, or use a certificate of role gateway",
                Label::new(named)
            ))),
            (Self::Resource, Some(named)) if named.len() <= LABEL_BYTES_MAX => {
                Ok(Label::new(named))
            }
            (Self::Resource, Some(_)) => Err(Reason::Name),
            (Self::Resource, None) => Err(Reason::NoHost),
        }
    }
}

/// In whatever case, and with or without its domain.
fn is_same_host(own: &str, named: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    own.eq_ignore_ascii_case(named)
        || (own.contains('.') != named.contains('.') && short(own) == short(named))
}

impl Facts {
    pub(crate) fn of(resource: &Resource) -> Self {
        let get = |name| text(&resource.attributes, name).unwrap_or("").to_owned();
        let os = match get("os.description") {
            none if none.is_empty() => {
                let parts = [get("os.name"), get("os.type")];
                parts
                    .into_iter()
                    .find(|part| !part.is_empty())
                    .unwrap_or_default()
            }
            description => description,
        };
        Self {
            id: get("host.id"),
            os,
            kernel: get("os.version"),
            arch: get("host.arch"),
            cpu_model: get("host.cpu.model.name"),
        }
    }

    /// Takes over what another resource of the host says.
    pub(crate) fn extend(&mut self, other: Self) {
        let fields = [
            (&mut self.id, other.id),
            (&mut self.os, other.os),
            (&mut self.kernel, other.kernel),
            (&mut self.arch, other.arch),
            (&mut self.cpu_model, other.cpu_model),
        ];
        for (own, other) in fields {
            if !other.is_empty() {
                *own = other;
            }
        }
    }
}

/// What tells this resource from others of the host, for series that are kept under their own names.
pub(crate) fn parts(resource: &Resource) -> Vec<(Label, Label)> {
    let is_named = |value: &Label| {
        let value = value.as_str();
        !value.is_empty() && !value.starts_with("unknown_service")
    };
    let part = |name: &&str| {
        let found = resource.attributes.iter().find(|a| a.key == **name)?;
        let value = label(found.value.as_ref()).ok().filter(is_named)?;
        Some((Label::new(name), value))
    };
    PARTS.iter().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn attribute(name: &str, value: &str) -> KeyValue {
        KeyValue {
            key: name.to_owned(),
            value: Some(AnyValue {
                value: Some(Value::StringValue(value.to_owned())),
            }),
            ..KeyValue::default()
        }
    }

    fn resource(attributes: &[(&str, &str)]) -> Resource {
        Resource {
            attributes: attributes.iter().map(|(n, v)| attribute(n, v)).collect(),
            ..Resource::default()
        }
    }

    #[test]
    fn a_certificate_of_one_host_names_it_and_no_other() {
        let own = Naming::Certificate("web-1".into());
        for named in ["web-1", "WEB-1", "web-1.example.org"] {
            let host = own.host(&resource(&[("host.name", named)]));
            assert_eq!(host, Ok("web-1".into()), "{named}");
        }
        assert_eq!(own.host(&resource(&[])), Ok("web-1".into()));
        let full = Naming::Certificate("web-1.lan".into());
        assert!(
            full.host(&resource(&[("host.name", "web-1.example.org")]))
                .is_err()
        );
        let other = own.host(&resource(&[("host.name", "db-1")])).unwrap_err();
        assert!(
            other
                .to_string()
                .contains("of host db-1, while the certificate is that of web-1")
        );
        assert_eq!(Naming::Resource.host(&resource(&[])), Err(Reason::NoHost));
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        let long = Naming::Resource.host(&resource(&[("host.name", &long)]));
        assert_eq!(long, Err(Reason::Name));
    }

    #[test]
    fn services_are_told_apart_and_unknown_ones_are_not_named() {
        let of = resource(&[("service.name", "shop"), ("telemetry.sdk.name", "x")]);
        assert_eq!(parts(&of), [("service.name".into(), "shop".into())]);
        assert!(parts(&resource(&[("service.name", "unknown_service:python")])).is_empty());
    }
}
