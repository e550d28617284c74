//! What is too long is not read: files, lines, functions.

use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{ImplItemFn, ItemFn, ItemImpl, ItemMod, TraitItemFn};
use tidy::modules::is_test;
use tidy::{files, none};

/// A file, in lines. A file that wants to grow has a concept that wants a name.
const FILE: usize = 400;
/// A line, in characters, comments too. Tables in Markdown can't be wrapped: those files are left out.
const LINE: usize = 120;
/// A function that is no test, in lines from its signature to its closing brace.
const FUNCTION: usize = 80;

#[test]
fn no_file_is_longer_than_400_lines() {
    let long = |file: tidy::File| {
        let lines = file.text.lines().count();
        (lines > FILE).then(|| format!("{}:{FILE} {lines} lines", file.path))
    };
    none("no file is longer than 400 lines", &files(".rs").into_iter().filter_map(long).collect::<Vec<_>>());
}

#[test]
fn no_line_is_longer_than_120_characters() {
    let mut broken = Vec::new();
    for file in [files(".rs"), files(".proto")].concat() {
        for (at, line) in file.text.lines().enumerate() {
            let (length, start) = (line.chars().count(), line.trim_start());
            // A text to compare with can't be broken: data in a test, not a sentence.
            let data = ["\"", "r\"", "r#\"", "b\"", "br#\""].iter().any(|opening| start.starts_with(opening));
            if length > LINE && !data {
                broken.push(format!("{}:{} {length} characters", file.path, at + 1));
            }
        }
    }
    none("no line is longer than 120 characters", &broken);
}

#[test]
fn no_function_is_longer_than_80_lines() {
    let mut broken = Vec::new();
    for file in files(".rs").into_iter().filter(|file| !file.is_test()) {
        let parsed = syn::parse_file(&file.text).expect("what builds can be parsed");
        Functions { path: &file.path, broken: &mut broken }.visit_file(&parsed);
    }
    none("no function is longer than 80 lines", &broken);
}

/// Looks at every function but those for tests.
struct Functions<'a> {
    path: &'a str,
    broken: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn look(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.span().end().line);
        if last + 1 - first > FUNCTION {
            self.broken.push(format!(
                "{}:{first} {} has {} lines",
                self.path,
                signature.ident,
                last + 1 - first
            ));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.clone().into()) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.clone().into()) {
            self.look(&item.sig, &item.block);
            syn::visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !is_test(&item.clone().into()) {
            syn::visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.look(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.look(&item.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }
}
