//! Files of a package that import each other in a ring. A module and its own descendants may.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;
use std::path::Path;

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, UseTree};

use crate::source::{is_shipped, package, read, tracked, verdict};

/// A module: inline ones belong to the file around them.
#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names that `use` brings in, with the path behind each.
    uses: BTreeMap<String, Vec<String>>,
    items: BTreeSet<String>,
    paths: BTreeSet<Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl Module {
    fn add_use(&mut self, mut path: Vec<String>, tree: &UseTree) {
        let (name, alias) = match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                return self.add_use(path, &tree.tree);
            }
            UseTree::Group(group) => {
                let trees = group.items.iter();
                return trees.for_each(|tree| self.add_use(path.clone(), tree));
            }
            UseTree::Glob(_) => return self.globs.push(path),
            UseTree::Name(tree) => (tree.ident.to_string(), tree.ident.to_string()),
            UseTree::Rename(tree) => (tree.ident.to_string(), tree.rename.to_string()),
        };
        if name != "self" {
            path.push(name);
        }
        let last = path.last().cloned().unwrap_or_default();
        let alias = if alias == "self" { last } else { alias };
        self.paths.insert(path.clone());
        self.uses.insert(alias, path);
    }

    /// Every `a::b::c` among the tokens, those inside macro calls included.
    fn add_paths(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Vec::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(name) if colons == 2 => path.push(name.to_string()),
                TokenTree::Ident(name) => {
                    self.paths
                        .insert(std::mem::replace(&mut path, vec![name.to_string()]));
                }
                other => {
                    self.paths.insert(std::mem::take(&mut path));
                    if let TokenTree::Group(group) = other {
                        self.add_paths(group.stream());
                    }
                }
            }
            colons = 0;
        }
        self.paths.insert(path);
    }
}

struct Crate(Vec<Module>);

impl Crate {
    fn load(root: &Path, file: &str, folder: &str) -> Result<Self> {
        let mut parsed = Self(Vec::new());
        parsed.add_file(root, file, folder, None)?;
        for module in &mut parsed.0 {
            module.paths.retain(|path| path.len() > 1);
        }
        Ok(parsed)
    }

    /// `folder` is where the files of the module's children lie.
    fn add_file(
        &mut self,
        root: &Path,
        file: &str,
        folder: &str,
        parent: Option<usize>,
    ) -> Result<usize> {
        let items = syn::parse_file(&read(root, file)?)?.items;
        self.add(root, file, folder, parent, items)
    }

    fn add(
        &mut self,
        root: &Path,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        items: Vec<Item>,
    ) -> Result<usize> {
        let at = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        for item in items {
            let tokens = item.to_token_stream();
            if tokens.to_string().starts_with("# [cfg (test)]") {
                continue;
            }
            match item {
                Item::Mod(item) => {
                    let inner = format!("{folder}/{}", item.ident);
                    let files = [format!("{inner}.rs"), format!("{inner}/mod.rs")];
                    let child = if let Some((_, items)) = item.content {
                        self.add(root, file, &inner, Some(at), items)?
                    } else if let Some(file) = files.iter().find(|file| root.join(file).is_file()) {
                        self.add_file(root, file, &inner, Some(at))?
                    } else {
                        continue; // by a path attribute, or generated
                    };
                    self.0[at].children.insert(item.ident.to_string(), child);
                }
                Item::Use(item) => self.0[at].add_use(Vec::new(), &item.tree),
                _ => {
                    self.0[at].items.extend(item_name(tokens.clone()));
                    self.0[at].add_paths(tokens);
                }
            }
        }
        Ok(at)
    }

    /// The module that declares what `path` names, seen from module `at`; none for other crates.
    fn resolve(&self, at: usize, path: &[String], depth: usize) -> Option<usize> {
        let mut here = at;
        for (position, name) in path.iter().enumerate() {
            let module = &self.0[here];
            let target = module.uses.get(name).filter(|_| depth < 9);
            here = match name.as_str() {
                "crate" => 0,
                "self" => here,
                "super" => module.parent?,
                _ if module.children.contains_key(name) => module.children[name],
                _ if position > 0 && module.items.contains(name) => return Some(here),
                _ if target.is_some() => self.resolve(here, target?, depth + 1)?,
                _ if position == 0 || depth > 8 => return None,
                _ => {
                    let through = |glob: &Vec<String>| self.resolve(here, glob, depth + 1);
                    let mut found = module.globs.iter().filter_map(through);
                    let declaring = found.find(|&to| self.0[to].items.contains(name));
                    return Some(declaring.unwrap_or(here));
                }
            };
        }
        Some(here)
    }

    fn is_within(&self, inner: usize, outer: &str) -> bool {
        successors(Some(inner), |&at| self.0[at].parent).any(|at| self.0[at].file == outer)
    }

    fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (at, module) in self.0.iter().enumerate() {
            let paths = module.paths.iter().chain(&module.globs);
            for to in paths.filter_map(|path| self.resolve(at, path, 0)) {
                let (from, file) = (&module.file, &self.0[to].file);
                if !self.is_within(at, file) && !self.is_within(to, from) {
                    edges.entry(from).or_default().insert(file);
                }
            }
        }
        edges
    }
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
    let (mut ways, mut seen) = (VecDeque::from([vec![start]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        for &next in edges.get(way[way.len() - 1]).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next) {
                ways.push_back([way.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

pub(crate) fn check(root: &Path) -> Result<String> {
    let mut files = tracked(root, &["rs"])?;
    files.retain(|path| {
        let is_root = ["/src/lib.rs", "/src/main.rs"].map(|end| path.ends_with(end));
        is_shipped(path) && (is_root.contains(&true) || path.contains("/src/bin/"))
    });
    let mut rings = Vec::new();
    for file in &files {
        let parsed = Crate::load(root, file, &format!("{}/src", package(file)))?;
        let edges = parsed.edges();
        let mut covered = BTreeSet::new();
        for &start in edges.keys() {
            if let Some(ring) = ring(&edges, start).filter(|_| !covered.contains(start)) {
                covered.extend(ring.iter().copied());
                rings.push(ring.join("\n    → "));
            }
        }
    }
    let passed = format!("no import cycles in {} crates", files.len());
    verdict(&rings, passed, "files that import each other")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges_of(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let parsed = Crate::load(root.path(), "lib.rs", ".").unwrap();
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
