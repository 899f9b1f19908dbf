//! A raw value from the file or the environment.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// Keys with their values, in the order in which they are written.
pub(crate) type Table = Vec<(String, Value)>;

/// A raw value, before its key interprets it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    Table(Table),
    Tables(Vec<Table>),
    /// A kind that no key accepts.
    Other(&'static str),
}

impl Value {
    pub(crate) fn text(&self, expected: &str) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("{other} should be {expected}")),
        }
    }

    pub(crate) fn list(&self, expected: &str) -> Result<&[String], String> {
        match self {
            Self::List(list) => Ok(list),
            other => Err(format!("{other} should be {expected}")),
        }
    }

    pub(crate) fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Integer(integer) => {
                i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
                    .map_or(Self::Other("a number that large"), Self::Integer)
            }
            DeValue::Array(items) => {
                let texts = items
                    .iter()
                    .map(|item| item.get_ref().as_str().map(str::to_owned));
                let tables = items
                    .iter()
                    .map(|item| item.get_ref().as_table().map(table));
                texts
                    .collect::<Option<_>>()
                    .map(Self::List)
                    .or_else(|| tables.collect::<Option<_>>().map(Self::Tables))
                    .unwrap_or(Self::Other("such a list"))
            }
            DeValue::Float(_) => Self::Other("a decimal number"),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Table(keys) => Self::Table(table(keys)),
        }
    }

    /// An environment variable: TOML where it is TOML, a text otherwise.
    pub(crate) fn from_env(text: &str) -> Self {
        match DeValue::parse(text) {
            Ok(value) if !matches!(value.get_ref(), DeValue::Float(_) | DeValue::Datetime(_)) => {
                Self::from_toml(value.get_ref())
            }
            _ => Self::Text(text.to_owned()),
        }
    }
}

fn table(keys: &DeTable<'_>) -> Table {
    let keys = keys.iter();
    keys.map(|(key, value)| (key.get_ref().to_string(), Value::from_toml(value.get_ref())))
        .collect()
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::List(list) => write!(f, "{list:?}"),
            Self::Table(_) => f.write_str("a table"),
            Self::Tables(_) => f.write_str("a list of tables"),
            Self::Other(what) => f.write_str(what),
        }
    }
}
