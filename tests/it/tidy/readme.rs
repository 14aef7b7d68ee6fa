//! What the README says of the settings is what the programs take.

use std::collections::BTreeMap;

use clap::CommandFactory;

use super::source::root;

/// Variable → default, as the table under this heading says.
fn in_readme(readme: &str, heading: &str) -> BTreeMap<String, String> {
    let (_, section) = readme.split_once(&format!("\n### {heading}\n")).unwrap();
    let section = section.split("\n#").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (
                cells[1].trim_matches('`').to_owned(),
                cells[2].trim_matches('`').to_owned(),
            )
        })
        .collect()
}

/// Variable → default, as the program says; empty where there is none.
fn in_program(command: &clap::Command) -> BTreeMap<String, String> {
    command
        .get_arguments()
        .filter_map(|argument| {
            let variable = argument.get_env()?.to_str()?.to_owned();
            let default: Vec<_> = argument
                .get_default_values()
                .iter()
                .map(|d| d.to_string_lossy())
                .collect();
            Some((variable, default.join(" ")))
        })
        .collect()
}

#[test]
fn both_readmes_list_the_settings_of_both_services_with_their_defaults() {
    let services = [
        ("crm-api", crm_api::Config::command()),
        ("outbox-relay", outbox_relay::Config::command()),
    ];
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = std::fs::read_to_string(root().join(readme)).unwrap();
        for (service, command) in &services {
            let (told, real) = (in_readme(&text, service), in_program(command));
            assert_eq!(
                told.keys().collect::<Vec<_>>(),
                real.keys().collect::<Vec<_>>(),
                "{readme}, table of {service}"
            );
            for (variable, default) in real.iter().filter(|(_, default)| !default.is_empty()) {
                assert_eq!(
                    told.get(variable),
                    Some(default),
                    "{readme}, {service}: default of {variable}"
                );
            }
        }
    }
}

#[test]
fn the_example_environment_names_every_setting() {
    let example = std::fs::read_to_string(root().join(".env.example")).unwrap();
    for command in [crm_api::Config::command(), outbox_relay::Config::command()] {
        for variable in in_program(&command).keys() {
            assert!(
                example.lines().any(|line| line
                    .trim_start_matches(['#', ' '])
                    .starts_with(&format!("{variable}="))),
                ".env.example does not name {variable}"
            );
        }
    }
}
