//! Arguments of `sysmon-tui query`.

use clap::ValueEnum;
use sysmon_wire::message::Aggregate;

#[derive(Debug, clap::Args)]
pub(crate) struct QueryArgs {
    /// Metric: cpu, mem, load1, net.rx, net.tx, disk.read, disk.write, fs.worst, temp.max, …, or a full name such as
    /// system.memory.usage
    pub(crate) metric: String,
    /// Query this host only
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Length of the range up to now [default: 10m]
    #[arg(long, value_name = "SPAN", conflicts_with_all = ["from", "to"], allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Start of the range
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// End of the range [default: now]
    #[arg(
        long,
        value_name = "TIME",
        requires = "from",
        allow_hyphen_values = true
    )]
    pub(crate) to: Option<String>,
    /// Time between points [default: such that there are about 60]
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    pub(crate) step: Option<String>,
    /// How to aggregate the samples of a step: mean, min, max, last, sum, rate, or a percentile such as p95
    #[arg(long, value_name = "HOW", value_parser = aggregate, default_value = "mean")]
    pub(crate) aggregate: Aggregate,
    /// Merge series that agree in these: host, or attributes such as network.interface.name; `all` merges all series
    #[arg(long, value_name = "ATTRIBUTES", value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// With --by, how to merge series: mean, min, max, sum, or a percentile
    #[arg(long, value_name = "HOW", value_parser = aggregate, default_value = "mean", requires = "by")]
    pub(crate) across: Aggregate,
    /// Return only the N series with the highest average
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<u16>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Csv,
    Json,
}

fn aggregate(text: &str) -> Result<Aggregate, String> {
    let percentile = || {
        let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
        let permille = (percent * 10.0).round();
        let is_valid = (0.0..=1000.0).contains(&permille);
        is_valid.then_some(Aggregate::Quantile(permille as u16))
    };
    match text {
        "mean" => Ok(Aggregate::Mean),
        "min" => Ok(Aggregate::Min),
        "max" => Ok(Aggregate::Max),
        "last" => Ok(Aggregate::Last),
        "sum" => Ok(Aggregate::Sum),
        "rate" => Ok(Aggregate::Rate),
        _ => percentile().ok_or_else(|| {
            "expected mean, min, max, last, sum, rate, or a percentile such as p95".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_parsed_to_permille() {
        assert_eq!(aggregate("p95"), Ok(Aggregate::Quantile(950)));
        assert_eq!(aggregate("p99.9"), Ok(Aggregate::Quantile(999)));
        assert_eq!(aggregate("rate"), Ok(Aggregate::Rate));
        for wrong in ["p101", "p-1", "pNaN", "avg", "p"] {
            assert!(aggregate(wrong).is_err(), "{wrong}");
        }
    }
}
