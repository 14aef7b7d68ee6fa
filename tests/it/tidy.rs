//! The rules of the repository itself: what may import what, and what must not be written at all.
//! A breach fails with the sentence of the rule.

mod layer;
mod readme;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use layer::{IMPORTS, PACKAGES, import_breaches, package_breaches};
use source::{Source, named_paths, names, root, sources};

/// The folder in which the databases are asked differently.
const DIALECT: &str = "crates/shared/src/db/dialect/";

/// The only files that may tell one database from the other.
const KNOW_THE_DATABASES: &[&str] = &[
    "crates/shared/src/db/connection.rs",
    DIALECT,
    "crates/shared/src/db/listener.rs",
    "crates/shared/src/db/migrations.rs",
    "crates/shared/src/db/pool.rs",
    "crates/shared/src/db/url.rs",
];

/// Where a test may sleep, and why.
const SLEEPS: &[(&str, &str)] = &[(
    "tests/it/harness/eventually.rs",
    "the one place that waits for what another process does by itself, with a deadline",
)];

const TEST_FOLDERS: &[&str] = &["bench", "crates", "tests"];

#[test]
fn packages_depend_only_on_what_their_layer_may() {
    let dependencies = dependencies();
    let breaches: Vec<String> = PACKAGES
        .iter()
        .flat_map(|rule| package_breaches(rule, &dependencies[rule.package]))
        .collect();
    assert_none(&breaches);
}

#[test]
fn modules_import_only_what_their_layer_may() {
    let sources = sources(&["crates"]);
    let mut breaches = Vec::new();
    for rule in IMPORTS {
        let mut governed = sources
            .iter()
            .filter(|source| source.path.starts_with(rule.folder))
            .peekable();
        assert!(governed.peek().is_some(), "no files in {}", rule.folder);
        breaches.extend(governed.flat_map(|source| import_breaches(rule, source)));
    }
    assert_none(&breaches);
}

/// The lints of the workspace forbid unsafe code; whoever has other lints might allow it.
#[test]
fn unsafe_code_is_allowed_in_one_package_alone() {
    let packages = fs::read_dir(root().join("crates")).unwrap();
    let folders = packages.map(|entry| entry.unwrap().path());
    let lenient: Vec<String> = folders
        .chain([root().join("tests"), root().join("bench")])
        .filter(|folder| {
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            !manifest.contains("[lints]\nworkspace = true")
        })
        .map(|folder| folder.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(lenient, ["postgres-listener"]);
}

/// What the rules say about wrong imports made up here: a rule that finds nothing proves nothing.
#[test]
fn a_wrong_import_fails_with_the_sentence_of_its_rule() {
    let dependencies = BTreeSet::from(["actix-web".to_owned(), "shared".to_owned()]);
    for rule in PACKAGES.iter().filter(|rule| rule.package != "crm-api") {
        let breaches = package_breaches(rule, &dependencies);
        assert!(!breaches.is_empty(), "{}", rule.package);
        assert!(breaches.iter().all(|breach| breach.contains(rule.sentence)));
    }
    for (path, text) in [
        (
            "crates/shared/src/domain/phone.rs",
            "use crate::outbox::claim_due;\n",
        ),
        (
            "crates/shared/src/domain/phone.rs",
            "use crate::{\n    db,\n    domain::{Phone, Role},\n};\n",
        ),
        (
            "crates/shared/src/domain/phone.rs",
            "fn now() { chrono::Utc::now(); }\n",
        ),
        (
            "crates/shared/src/db/pool.rs",
            "pub use crate::{clock::Clock, outbox};\n",
        ),
        (
            "crates/shared/src/outbox/claim.rs",
            "use diesel::prelude::*; use tokio::spawn;\n",
        ),
        (
            "crates/shared/src/notification/notice.rs",
            "let x = std::env::var(\"X\");\n",
        ),
        (
            "crates/crm-api/src/lib.rs",
            "pub(crate) use backoff::ExponentialBackoff;\n",
        ),
    ] {
        let source = Source {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let rule = IMPORTS
            .iter()
            .find(|rule| path.starts_with(rule.folder))
            .unwrap();
        let breaches = import_breaches(rule, &source);
        assert_eq!(breaches.len(), 1, "{text}: {breaches:?}");
        assert!(breaches[0].starts_with(path) && breaches[0].ends_with(rule.sentence));
    }
    for harmless in [
        "// use crate::outbox::claim_due;\n",
        "use crate::domain::Phone;\ncrate::db::columns::text_column!(Phone);\n",
        "use my_tokio::spawn; // because crate::db may not be used\n",
    ] {
        let source = Source {
            path: "crates/shared/src/domain/phone.rs".to_owned(),
            text: harmless.to_owned(),
        };
        assert_eq!(import_breaches(&IMPORTS[0], &source), [""; 0]);
    }
}

#[test]
fn only_the_database_seam_tells_one_database_from_the_other() {
    let folders = [
        "crates/shared/src",
        "crates/crm-api/src",
        "crates/outbox-relay/src",
    ];
    let telling: BTreeSet<String> = sources(&folders)
        .into_iter()
        .filter(|source| source.text.contains("Postgres") || source.text.contains("Sqlite"))
        .map(|source| match source.path.strip_prefix(DIALECT) {
            Some(_) => DIALECT.to_owned(),
            None => source.path,
        })
        .collect();
    let allowed: BTreeSet<String> = KNOW_THE_DATABASES
        .iter()
        .copied()
        .map(str::to_owned)
        .collect();
    assert_eq!(
        telling, allowed,
        "Postgres and Sqlite may be named in the files of the database seam only, not even in comments elsewhere"
    );
}

#[test]
fn raw_parameters_are_bound_in_the_dialect_only() {
    let breaches: Vec<String> = sources(&["crates"])
        .into_iter()
        .filter(|source| source.text.contains(".bind::<"))
        .filter(|source| !source.path.starts_with(DIALECT))
        .map(|source| {
            format!("{}: numbered parameters mean different things on the two databases; they belong into db/dialect", source.path)
        })
        .collect();
    assert_none(&breaches);
}

#[test]
fn a_file_is_named_after_what_it_holds() {
    let breaches: Vec<String> = sources(TEST_FOLDERS)
        .into_iter()
        .filter(|source| {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            let folder = source
                .path
                .trim_end_matches("/mod.rs")
                .rsplit('/')
                .next()
                .unwrap_or_default();
            ["utils", "util", "common", "helpers", "helper", "misc"]
                .iter()
                .any(|vague| name == format!("{vague}.rs") || folder == *vague)
        })
        .map(|source| format!("{}: a file is one noun, and this name is none", source.path))
        .collect();
    assert_none(&breaches);
}

#[test]
fn no_test_is_switched_off() {
    let ignore = concat!("#[", "ignore");
    let breaches: Vec<String> = sources(TEST_FOLDERS)
        .into_iter()
        .filter(|source| source.text.contains(ignore))
        .map(|source| {
            format!(
                "{}: nothing is ignored; a test is mended or taken out",
                source.path
            )
        })
        .collect();
    assert_none(&breaches);
}

#[test]
fn no_test_sleeps_in_the_hope_that_something_has_happened_by_then() {
    let sources = sources(TEST_FOLDERS);
    let sleepers: BTreeSet<&str> = sources
        .iter()
        .filter(|source| !source.path.starts_with("tests/it/tidy"))
        .filter(|source| test_code(source).iter().any(|line| sleeps(line)))
        .map(|source| source.path.as_str())
        .collect();
    let allowed: BTreeSet<&str> = SLEEPS.iter().map(|(path, _reason)| *path).collect();
    assert_eq!(
        sleepers, allowed,
        "tests use barriers, second connections or `eventually`; exceptions are listed with their reason"
    );
}

fn sleeps(line: &str) -> bool {
    names(line, "thread::sleep") || names(line, "time::sleep") || names(line, "rt::time::sleep")
}

/// The lines of a file that only tests run.
fn test_code(source: &Source) -> Vec<String> {
    let whole_file = source.path.contains("/tests/")
        || source.path.starts_with("tests/")
        || source.path.ends_with("/tests.rs");
    let code = if whole_file {
        source.text.as_str()
    } else {
        source
            .text
            .split_once("#[cfg(test)]\nmod tests {")
            .map_or("", |(_, tests)| tests)
    };
    named_paths(code)
}

/// The packages of the workspace and what each of them is built from; not what it is tested with.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let built_from = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), built_from)
        })
        .collect()
}

fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}
