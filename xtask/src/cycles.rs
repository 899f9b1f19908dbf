//! Files of a package that import each other in a ring. A module and its own descendants may.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

use crate::source::{is_shipped, package, read, tracked};

/// A module: inline ones belong to the file around them.
#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names that `use` brings in, with the path behind each.
    uses: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    items: BTreeSet<String>,
    paths: BTreeSet<Vec<String>>,
}

impl Module {
    fn bind(&mut self, prefix: &[String], name: &Ident, alias: &Ident) {
        let mut path = prefix.to_vec();
        let mut alias = alias.to_string();
        if name != "self" {
            path.push(name.to_string());
        } else if alias == "self" {
            alias = path.last().cloned().unwrap_or_default();
        }
        self.paths.insert(path.clone());
        self.uses.insert(alias, path);
    }
}

#[derive(Default)]
struct Crate {
    modules: Vec<Module>,
}

impl Crate {
    fn add(&mut self, file: &str, parent: Option<usize>) -> usize {
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        self.modules.len() - 1
    }

    fn load(
        &mut self,
        root: &Path,
        file: &str,
        folder: &str,
        parent: Option<usize>,
    ) -> Result<usize> {
        let module = self.add(file, parent);
        let parsed = syn::parse_file(&read(root, file)?)?;
        self.fill(root, module, folder, parsed.items)?;
        Ok(module)
    }

    /// `folder` is where the files of this module's children lie.
    fn fill(&mut self, root: &Path, at: usize, folder: &str, items: Vec<Item>) -> Result<()> {
        for item in items {
            match item {
                Item::Mod(item) if !is_test(&item.attrs) => {
                    let name = item.ident.to_string();
                    let inner = format!("{folder}/{name}");
                    let child = if let Some((_, items)) = item.content {
                        let child = self.add(&self.modules[at].file.clone(), Some(at));
                        self.fill(root, child, &inner, items)?;
                        child
                    } else {
                        let flat = format!("{inner}.rs");
                        let file = if root.join(&flat).is_file() {
                            flat
                        } else {
                            format!("{inner}/mod.rs")
                        };
                        if !root.join(&file).is_file() {
                            continue; // by a path attribute, or generated
                        }
                        self.load(root, &file, &inner, Some(at))?
                    };
                    self.modules[at].children.insert(name, child);
                }
                Item::Use(item) if !is_test(&item.attrs) => {
                    self.add_use(at, &mut Vec::new(), &item.tree);
                }
                Item::Mod(_) | Item::Use(_) => {}
                other => {
                    let tokens = other.to_token_stream();
                    self.modules[at].items.extend(item_name(tokens.clone()));
                    if !tokens.to_string().starts_with("# [cfg (test)]") {
                        self.add_paths(at, tokens);
                    }
                }
            }
        }
        Ok(())
    }

    fn add_use(&mut self, at: usize, prefix: &mut Vec<String>, tree: &UseTree) {
        let module = &mut self.modules[at];
        match tree {
            UseTree::Path(tree) => {
                prefix.push(tree.ident.to_string());
                self.add_use(at, prefix, &tree.tree);
                prefix.pop();
            }
            UseTree::Group(tree) => tree
                .items
                .iter()
                .for_each(|tree| self.add_use(at, prefix, tree)),
            UseTree::Glob(_) => module.globs.push(prefix.clone()),
            UseTree::Name(tree) => module.bind(prefix, &tree.ident, &tree.ident),
            UseTree::Rename(tree) => module.bind(prefix, &tree.ident, &tree.rename),
        }
    }

    /// Every `a::b::c` among the tokens, those inside macro calls included.
    fn add_paths(&mut self, at: usize, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add_path(at, std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.add_path(at, std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_paths(at, group.stream());
                    }
                }
            }
        }
        self.add_path(at, path);
    }

    fn add_path(&mut self, at: usize, path: Vec<String>) {
        if path.len() > 1 {
            self.modules[at].paths.insert(path);
        }
    }

    /// The module that declares what `path` names, seen from module `at`; none for other crates.
    fn resolve(&self, at: usize, path: &[String], depth: usize) -> Option<usize> {
        let (first, mut rest) = path.split_first()?;
        let module = &self.modules[at];
        let mut here = match first.as_str() {
            "crate" => 0,
            "self" => at,
            "super" => module.parent?,
            name => match module.children.get(name) {
                Some(child) => *child,
                None if path.len() > 1 || depth > 0 => {
                    let target = module.uses.get(name)?;
                    if depth > 8 || target.as_slice() == path {
                        return None;
                    }
                    let whole = [target.as_slice(), rest].concat();
                    return self.resolve(at, &whole, depth + 1);
                }
                None => return None,
            },
        };
        while let Some((name, after)) = rest.split_first() {
            let module = &self.modules[here];
            if name == "super" {
                here = module.parent?;
            } else if let Some(child) = module.children.get(name) {
                here = *child;
            } else if module.items.contains(name) || depth > 8 {
                break;
            } else if let Some(target) = module.uses.get(name) {
                return self.resolve(here, &[target.as_slice(), after].concat(), depth + 1);
            } else {
                let through = |glob: &Vec<String>| self.resolve(here, glob, depth + 1);
                let found = module.globs.iter().filter_map(through);
                let mut found = found.filter(|&to| self.modules[to].items.contains(name));
                return Some(found.next().unwrap_or(here));
            }
            rest = after;
        }
        Some(here)
    }

    fn is_within(&self, mut inner: usize, outer: &str) -> bool {
        loop {
            if self.modules[inner].file == outer {
                return true;
            }
            match self.modules[inner].parent {
                Some(parent) => inner = parent,
                None => return false,
            }
        }
    }

    fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (at, module) in self.modules.iter().enumerate() {
            for path in module.paths.iter().chain(&module.globs) {
                let Some(to) = self.resolve(at, path, 0) else {
                    continue;
                };
                let (from, file) = (&module.file, &self.modules[to].file);
                if !self.is_within(at, file) && !self.is_within(to, from) {
                    edges.entry(from).or_default().insert(file);
                }
            }
        }
        edges
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|a| a.to_token_stream().to_string().contains("cfg (test)"))
}

/// The name that an item declares: what follows its keyword.
fn item_name(tokens: TokenStream) -> Option<String> {
    const KEYWORDS: [&str; 8] = [
        "const", "enum", "fn", "static", "struct", "trait", "type", "union",
    ];
    let names = tokens.into_iter().map(|token| token.to_string());
    let mut names = names.skip_while(|name| !KEYWORDS.contains(&name.as_str()));
    names.find(|name| !KEYWORDS.contains(&name.as_str()) && name != "unsafe" && name != "async")
}

/// The shortest way from `start` back to it.
fn ring<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(file) = waiting.pop_front() {
        for &next in edges.get(file).into_iter().flatten() {
            if next == start {
                let mut ring = vec![file];
                while let Some(&before) = came_from.get(ring[ring.len() - 1]) {
                    ring.push(before);
                }
                ring.reverse();
                return Some(ring);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, file);
                waiting.push_back(next);
            }
        }
    }
    None
}

pub(crate) fn check(root: &Path) -> Result<String> {
    let files = tracked(root, &["rs"])?;
    let is_root = |path: &&String| {
        is_shipped(path)
            && (path.ends_with("/src/lib.rs")
                || path.ends_with("/src/main.rs")
                || path.contains("/src/bin/"))
    };
    let (mut rings, mut crates) = (Vec::new(), 0);
    for file in files.iter().filter(is_root) {
        let mut parsed = Crate::default();
        parsed.load(root, file, &format!("{}/src", package(file)), None)?;
        crates += 1;
        let edges = parsed.edges();
        let mut covered = BTreeSet::new();
        for &start in edges.keys() {
            if let Some(ring) = ring(&edges, start).filter(|_| !covered.contains(start)) {
                covered.extend(ring.iter().copied());
                rings.push(ring.join("\n    → "));
            }
        }
    }
    if rings.is_empty() {
        return Ok(format!("no import cycles in {crates} crates"));
    }
    bail!(
        "files that import each other:\n\n  {}",
        rings.join("\n\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges_of(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let mut parsed = Crate::default();
        parsed.load(root.path(), "lib.rs", ".", None).unwrap();
        let owned = |from: &str, to: &str| (from[2..].to_owned(), to[2..].to_owned());
        let edges = parsed.edges();
        let pairs = edges
            .iter()
            .flat_map(|(from, to)| to.iter().map(|to| owned(from, to)));
        pairs.collect()
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn imports_through_a_reexport_reach_the_file_that_declares_the_item() {
        let found = edges_of(&[
            ("lib.rs", "mod a; mod b; pub use b::B;"),
            ("a.rs", "use crate::B; pub struct A;"),
            ("b.rs", "pub struct B(super::a::A);"),
        ]);
        assert_eq!(found, [pair("a.rs", "b.rs"), pair("b.rs", "a.rs")]);
    }

    #[test]
    fn paths_in_macro_calls_count_and_tests_do_not() {
        let found = edges_of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "fn f() { println!(\"{}\", crate::b::text()); }"),
            (
                "b.rs",
                "pub fn text() -> u8 { 1 }\n#[cfg(test)] mod tests { use crate::a; }",
            ),
        ]);
        assert_eq!(found, [pair("a.rs", "b.rs")]);
    }

    #[test]
    fn the_shortest_ring_is_found() {
        let edges = BTreeMap::from([
            ("a", BTreeSet::from(["b", "c"])),
            ("b", BTreeSet::from(["a"])),
            ("c", BTreeSet::from(["b"])),
        ]);
        assert_eq!(ring(&edges, "a").unwrap(), ["a", "b"]);
    }
}
