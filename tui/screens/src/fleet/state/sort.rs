//! Orders of hosts.

use std::cmp::Ordering;

use sysmon_config::Order;
use sysmon_wire::metrics::ALIASES;

use super::row::HostRow;
use crate::model::summary::{CPU, FILESYSTEM, LOAD, MEMORY, READ, RECEIVED};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By severity, worst first.
    #[default]
    Worst,
    Name,
    /// By a value of the summary, highest first.
    Value(usize),
}

impl From<Order> for Sort {
    fn from(order: Order) -> Self {
        match order {
            Order::Worst => Self::Worst,
            Order::Name => Self::Name,
            Order::Cpu => Self::Value(CPU),
            Order::Memory => Self::Value(MEMORY),
            Order::Load => Self::Value(LOAD),
            Order::Network => Self::Value(RECEIVED),
            Order::Disk => Self::Value(READ),
            Order::Filesystem => Self::Value(FILESYSTEM),
        }
    }
}

impl Sort {
    /// Every order with its name, in the sequence of the sort key.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        Order::ALL
            .iter()
            .map(|(name, order)| ((*order).into(), *name))
    }

    pub fn name(self) -> &'static str {
        let known = Self::all().find(|(sort, _)| *sort == self);
        match (known, self) {
            (Some((_, name)), _) => name,
            // By a column's heading hosts can be sorted by any value.
            (None, Self::Value(place)) => ALIASES.get(place).map_or("value", |alias| alias.alias),
            (None, _) => "value",
        }
    }

    pub fn next(self) -> Self {
        let mut after = Self::all().skip_while(|(sort, _)| *sort != self).skip(1);
        after.next().map_or(Self::Worst, |(sort, _)| sort)
    }

    pub(super) fn compare(self, a: &HostRow, b: &HostRow) -> Ordering {
        let first = match self {
            Self::Name => Ordering::Equal,
            Self::Worst => b.rank.level().cmp(&a.rank.level()),
            Self::Value(place) => {
                let value = |host: &HostRow| host.value(place).unwrap_or(f64::NEG_INFINITY);
                value(b).total_cmp(&value(a))
            }
        };
        first.then(a.name_place.cmp(&b.name_place))
    }
}

/// Names with numbers in them in the order of the numbers: web-2 before web-10.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        let ordering = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (p, q) = (number(&mut a), number(&mut b));
            p.len().cmp(&q.len()).then(p.cmp(q))
        } else {
            a = a.get(x.len_utf8()..).unwrap_or_default();
            b = b.get(y.len_utf8()..).unwrap_or_default();
            x.cmp(&y)
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Removes the leading digits; returns them without leading zeros.
fn number<'a>(text: &mut &'a str) -> &'a str {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}
