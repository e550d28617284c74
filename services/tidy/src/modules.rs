//! A crate's modules, and which of them uses which: each path in the code is followed through imports and re-exports
//! to the module where what it names is defined. Tests (`#[cfg(test)]`) are left out: they may use anything.

use crate::root;
use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{Item, UseTree, Visibility, spanned::Spanned as _, visit::Visit};

/// A module by its names, from the crate's root: `["network", "session"]`; the root has none.
pub type Name = Vec<String>;

#[derive(Debug, Default)]
pub struct Modules {
    modules: BTreeMap<Name, Module>,
}

/// What is written in one module.
#[derive(Debug, Default)]
struct Module {
    file: String,
    items: BTreeSet<String>,
    /// What a name here stands for elsewhere: `use` and `pub use`.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Every path that is written here, and its line.
    paths: Vec<(Vec<String>, usize)>,
}

/// One module uses another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    pub from: Name,
    /// Where what it uses is defined.
    pub to: Name,
    /// The file and the line of the first such use, as editors open it, and what it names.
    pub at: String,
}

impl Modules {
    /// Reads the crate whose root is this file: `services/mesh/src/lib.rs`.
    ///
    /// # Panics
    ///
    /// If the crate does not parse: then it does not build either.
    pub fn read(crate_root: &str) -> Self {
        let mut modules = Self::default();
        let folder = Path::new(crate_root).parent().expect("a file has a folder").to_owned();
        modules.file(Name::new(), Path::new(crate_root), &folder);
        modules
    }

    /// The modules, and the file of each.
    pub fn names(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.modules.iter().map(|(name, module)| (name, module.file.as_str()))
    }

    /// Which module uses which, each pair once.
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = BTreeMap::new();
        for (from, module) in &self.modules {
            for (path, line) in &module.paths {
                let Some(to) = self.defined(from, path, 0).filter(|to| to != from) else { continue };
                let at = format!("{}:{line} {}", module.file, path.join("::"));
                uses.entry((from.clone(), to)).or_insert(at);
            }
        }
        uses.into_iter().map(|((from, to), at)| Use { from, to, at }).collect()
    }

    /// The module that defines what this path names when it is written in `from`; `None` for what is not of this crate.
    fn defined(&self, from: &Name, path: &[String], depth: usize) -> Option<Name> {
        if depth > 16 {
            return None; // a re-export of itself
        }
        let (mut at, mut rest) = (from.clone(), path);
        match path.first().map(String::as_str) {
            Some("crate") => (at, rest) = (Name::new(), &path[1..]),
            Some("self") => rest = &path[1..],
            Some("super") => {}
            // A name by itself: a child, an import or an item of this module.
            Some(_) if path.len() == 1 && !self.knows(from, &path[0]) => return None,
            _ => {}
        }
        while rest.first().is_some_and(|name| name == "super") {
            at.pop()?;
            rest = &rest[1..];
        }
        let Some((name, behind)) = rest.split_first() else { return Some(at) };
        let module = self.modules.get(&at)?;
        if module.items.contains(name) {
            return Some(at);
        }
        let child: Name = at.iter().chain([name]).cloned().collect();
        if self.modules.contains_key(&child) {
            let inner: Vec<String> = ["self".to_owned()].into_iter().chain(behind.iter().cloned()).collect();
            return self.defined(&child, &inner, depth + 1);
        }
        if let Some(import) = module.imports.get(name) {
            let whole: Vec<String> = import.iter().chain(behind).cloned().collect();
            // `use self::x` and the like would lead here again.
            return if import.as_slice() == [name.clone()] {
                None
            } else {
                self.defined(&at, &whole, depth + 1)
            };
        }
        module.globs.iter().find_map(|glob| {
            let whole: Vec<String> = glob.iter().chain(rest).cloned().collect();
            self.defined(&at, &whole, depth + 6)
        })
    }

    fn knows(&self, module: &Name, name: &str) -> bool {
        let child: Name = module.iter().cloned().chain([name.to_owned()]).collect();
        let Some(here) = self.modules.get(module) else { return false };
        here.items.contains(name) || here.imports.contains_key(name) || self.modules.contains_key(&child)
    }

    /// `children` is the folder where files of this module's own modules are.
    fn file(&mut self, name: Name, file: &Path, children: &Path) {
        let text = fs::read_to_string(root().join(file))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.module(name, file, children, parsed.items);
    }

    fn module(&mut self, name: Name, file: &Path, children: &Path, items: Vec<Item>) {
        let mut module = Module { file: file.display().to_string(), ..Module::default() };
        for item in items {
            if is_test(&item) {
                continue;
            }
            match item {
                Item::Mod(inner) => {
                    let child: Name = name.iter().cloned().chain([inner.ident.to_string()]).collect();
                    let folder = children.join(inner.ident.to_string());
                    match inner.content {
                        Some((_, items)) => self.module(child, file, &folder, items),
                        None => self.file(child, &found(children, &inner.ident.to_string()), &folder),
                    }
                }
                Item::Use(item) => module.import(&item),
                item => {
                    module.items.extend(defines(&item));
                    let mut paths = Paths(&mut module.paths);
                    paths.visit_item(&item);
                }
            }
        }
        self.modules.insert(name, module);
    }
}

impl Module {
    fn import(&mut self, item: &syn::ItemUse) {
        let line = item.span().start().line;
        // `use x::Trait as _` names nothing, and uses x all the same.
        for (path, name) in leaves(&item.tree, &[]) {
            if name.as_deref() == Some("*") {
                self.globs.push(path.clone());
            } else if let Some(name) = name {
                self.imports.insert(name, path.clone());
            }
            // A re-export is no use by itself: whoever goes through it uses what is behind it.
            if matches!(item.vis, Visibility::Inherited) {
                self.paths.push((path, line));
            }
        }
    }
}

/// Each path of a `use`, and the name that it gets here: `None` for `_`, `*` for all names behind it.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(Vec<String>, Option<String>)> {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(path.ident.to_string())),
        UseTree::Name(leaf) if leaf.ident == "self" => vec![(before.to_vec(), before.last().cloned())],
        UseTree::Name(leaf) => vec![(with(leaf.ident.to_string()), Some(leaf.ident.to_string()))],
        UseTree::Rename(leaf) => {
            let path = if leaf.ident == "self" { before.to_vec() } else { with(leaf.ident.to_string()) };
            vec![(path, (leaf.rename != "_").then(|| leaf.rename.to_string()))]
        }
        UseTree::Glob(_) => vec![(before.to_vec(), Some("*".into()))],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
    }
}

fn found(children: &Path, name: &str) -> PathBuf {
    let (flat, folder) = (children.join(format!("{name}.rs")), children.join(name).join("mod.rs"));
    if root().join(&flat).exists() { flat } else { folder }
}

/// The names that an item gives its module.
fn defines(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// Is it there for tests alone?
pub fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        syn::Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

/// Collects paths of two and more names, those in macros' arguments too. A single name is an import's or the module's
/// own.
struct Paths<'a>(&'a mut Vec<(Vec<String>, usize)>);

impl Paths<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for tree in tokens {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.close(&mut path, line);
                    }
                    (line, colons) = (ident.span().start().line, 0);
                    path.push(ident.to_string());
                }
                other => {
                    self.close(&mut path, line);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.close(&mut path, line);
    }

    fn close(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.0.push((path, line));
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.close(&mut names.clone(), path.span().start().line);
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast syn::MetaList) {
        self.tokens(list.tokens.clone());
    }

    /// `pub(in crate::a)` says who may use a thing; it uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let line = item.span().start().line;
        self.0.extend(leaves(&item.tree, &[]).into_iter().map(|(path, _)| (path, line)));
    }
}
