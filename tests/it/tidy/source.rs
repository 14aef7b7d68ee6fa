//! The source files of the repository, and what they import.

use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Every Rust file in these folders, which are named from the root.
pub fn sources(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut sources);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn collect(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(&path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root()).unwrap();
            let path = relative.to_string_lossy().replace('\\', "/");
            sources.push(Source { path, text });
        }
    }
}

/// Every path that the code names, one a line: `use` trees are unfolded, so that
/// `use crate::{db, outbox::claim}` names `crate::db` and `crate::outbox::claim`. Comments are left
/// out.
pub fn named_paths(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n");
    let mut paths = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let starts_a_word =
            rest[..at].ends_with(|c: char| c.is_whitespace() || c == ')' || c == ';');
        let (before, after) = rest.split_at(at);
        paths.extend(before.lines().map(str::to_owned));
        rest = &after["use ".len()..];
        if (starts_a_word || before.is_empty())
            && let Some((tree, after)) = rest.split_once(';')
        {
            let tree: String = tree.split_whitespace().collect();
            unfold("", &tree, &mut paths);
            rest = after;
        }
    }
    paths.extend(rest.lines().map(str::to_owned));
    paths
}

fn unfold(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let Some((head, group)) = tree.split_once('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let group = group.strip_suffix('}').unwrap_or(group);
    let mut depth = 0;
    let branches = group.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for branch in branches.filter(|branch| !branch.is_empty()) {
        unfold(&format!("{prefix}{head}"), branch, paths);
    }
}

/// Whether a line names this path: `tokio` is named by `tokio::spawn`, not by `my_tokio::spawn`.
pub fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let part_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(part_of_a_word)
            && !line[at + path.len()..].starts_with(part_of_a_word)
    })
}
