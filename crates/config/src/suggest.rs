//! "Did you mean …?" for a name that does not exist.

/// The end of an error message: the most similar of `right`, or all of them.
pub fn suggest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    let right: Vec<&str> = right.into_iter().collect();
    let nearest = right
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)));
    match nearest {
        Some(near) if strsim::jaro_winkler(wrong, near) > 0.75 => {
            format!("; did you mean {near:?}?")
        }
        _ if right.is_empty() => String::new(),
        _ => format!("; there are {}", right.join(", ")),
    }
}
