//! Checks of a whole rule: that it can hold, and clears after it fires.

use super::{Bound, Condition, Measure, Rule, TERMS_MAX, Term};

pub(super) fn before_it_fires() -> String {
    "would clear before it fires: check the value after \"clear\"".to_owned()
}

pub(super) fn check(rule: &Rule) -> Result<(), String> {
    let Condition::All(terms) = &rule.condition else {
        if rule.condition == Condition::Silent && rule.hold.is_zero() {
            return Err("has no time: write \"silent for 60s\"".to_owned());
        }
        return Ok(());
    };
    if terms.len() > TERMS_MAX {
        return Err(format!("has more than {TERMS_MAX} conditions"));
    }
    for term in terms {
        match (&term.threshold, &term.clear) {
            (Bound::Number(threshold), Bound::Number(clear)) => {
                check_numbers(term, *threshold, *clear)?;
            }
            (Bound::Of(threshold, of), Bound::Of(clear, other)) if of == other => {
                if is_before(term, *threshold, *clear) {
                    return Err(before_it_fires());
                }
            }
            _ => return Err("clears by another metric than it fires by".to_owned()),
        }
    }
    for (at, a) in terms.iter().enumerate() {
        for b in terms.iter().skip(at + 1) {
            if let Some((low, high)) = contradiction(a, b) {
                return Err(format!(
                    "can never hold: {} cannot be over {low} and under {high} at once",
                    a.metric
                ));
            }
        }
    }
    Ok(())
}

fn is_before(term: &Term, threshold: f64, clear: f64) -> bool {
    (term.above && clear > threshold) || (!term.above && clear < threshold)
}

fn check_numbers(term: &Term, threshold: f64, clear: f64) -> Result<(), String> {
    if is_before(term, threshold, clear) {
        return Err(before_it_fires());
    }
    let metric = term.metric.known();
    // A share of a host is at most 100 %; that of a process may exceed it with several processors.
    let is_share = metric.is_some_and(|metric| {
        let of_host = ["system.", "hw."]
            .iter()
            .any(|of| metric.name.starts_with(of));
        let is_stall = metric.unit == "s" && metric.name.ends_with("pressure.time");
        of_host && ((metric.unit == "1" && metric.scale == -3) || is_stall)
    });
    let is_value = matches!(term.measure, Measure::Value | Measure::Turn);
    let is_never = match term.above {
        true => threshold >= 1.0 && is_share,
        false => threshold <= 0.0 && metric.is_some_and(|metric| metric.unit != "Cel"),
    };
    if is_value && is_never {
        let (side, limit) = match term.above {
            true => ("over", "100%"),
            false => ("under", "0"),
        };
        let metric = &term.metric;
        return Err(format!("can never hold: {metric} is not {side} {limit}"));
    }
    Ok(())
}

/// The two limits that no value satisfies at once, if there are such.
fn contradiction(a: &Term, b: &Term) -> Option<(f64, f64)> {
    if a.metric != b.metric || a.measure != b.measure || a.above == b.above {
        return None;
    }
    let (over, under) = if a.above { (a, b) } else { (b, a) };
    match (&over.threshold, &under.threshold) {
        (Bound::Number(low), Bound::Number(high)) if low >= high => Some((*low, *high)),
        _ => None,
    }
}
