//! Lines of Rust outside tests: in total, and in each file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::source::{is_shipped, package, read, tracked, without_tests};

const FILE_LINES_MAX: usize = 500;

fn count(root: &Path) -> Result<Vec<(String, usize)>> {
    let shipped = tracked(root, &["rs"])?
        .into_iter()
        .filter(|path| is_shipped(path));
    shipped
        .map(|path| {
            let lines = without_tests(&read(root, &path)?).lines().count();
            Ok((path, lines))
        })
        .collect()
}

pub(crate) fn lines(root: &Path) -> Result<String> {
    let mut packages = BTreeMap::<String, usize>::new();
    let files = count(root)?;
    for (path, lines) in &files {
        *packages.entry(package(path).to_owned()).or_default() += lines;
    }
    let mut report: String = packages
        .iter()
        .map(|(package, lines)| format!("{lines:>7}  {package}\n"))
        .collect();
    report += &format!("{:>7}", files.iter().map(|(_, lines)| lines).sum::<usize>());
    Ok(report)
}

pub(crate) fn files(root: &Path) -> Result<String> {
    let mut long = count(root)?;
    long.retain(|(_, lines)| *lines > FILE_LINES_MAX);
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    if long.is_empty() {
        return Ok(format!("no file has more than {FILE_LINES_MAX} lines"));
    }
    let list: String = long
        .iter()
        .map(|(path, lines)| format!("\n{lines:>6}  {path}"))
        .collect();
    bail!("files of more than {FILE_LINES_MAX} lines; split each by its ideas:{list}")
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
