//! Lines of Rust outside tests: in total, and in each file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::source::{is_shipped, package, read, tracked, verdict, without_tests};

const FILE_LINES_MAX: usize = 500;

fn count(root: &Path) -> Result<Vec<(String, usize)>> {
    let files = tracked(root, &["rs"])?.into_iter();
    let counted = files.filter(|path| is_shipped(path)).map(|path| {
        let lines = without_tests(&read(root, &path)?).lines().count();
        Ok((path, lines))
    });
    counted.collect()
}

pub(crate) fn lines(root: &Path) -> Result<String> {
    let mut packages = BTreeMap::<String, usize>::new();
    let files = count(root)?;
    for (path, lines) in &files {
        *packages.entry(package(path).to_owned()).or_default() += lines;
    }
    let rows = packages.iter();
    let rows = rows.map(|(package, lines)| format!("{lines:>7}  {package}\n"));
    let total: usize = packages.values().sum();
    Ok(format!("{}{total:>7}", rows.collect::<String>()))
}

pub(crate) fn files(root: &Path) -> Result<String> {
    let mut long = count(root)?;
    long.retain(|(_, lines)| *lines > FILE_LINES_MAX);
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    let long: Vec<String> = long
        .iter()
        .map(|(path, lines)| format!("{lines:>6}  {path}"))
        .collect();
    let passed = format!("no file has more than {FILE_LINES_MAX} lines");
    let failed = format!("files of more than {FILE_LINES_MAX} lines; split each by its ideas");
    verdict(&long, passed, &failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_the_first_test_module() {
        assert_eq!(
            without_tests("a\nb\n#[cfg(test)]\nmod tests;\n")
                .lines()
                .count(),
            2
        );
        assert_eq!(without_tests("a\n    #[cfg(test)]\n").lines().count(), 2);
    }
}
