//! How the programs read their settings: flags first, then environment variables, then defaults.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::{Resettable, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Error, Parser};

use crate::db::{DatabaseUrl, InvalidDatabaseUrl};

/// Reads the settings of this process, or ends it with a message that says what is wrong.
///
/// A variable that is set to nothing counts as not given: that is how `NAME=${NAME:-}` in a compose
/// file says "the default".
pub fn settings_of_this_process<S: Parser>() -> S {
    read(env::args_os(), |variable| {
        env::var_os(variable).is_some_and(|value| !value.is_empty())
    })
    .unwrap_or_else(|error| error.exit())
}

/// Reads settings from flags alone; the environment is not looked at. For programs that start a
/// service inside themselves.
///
/// # Errors
/// What is wrong, in words for a person.
pub fn settings_from_flags<S: Parser>(
    flags: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<S, Error> {
    let program = std::iter::once(OsString::new());
    read(program.chain(flags.into_iter().map(Into::into)), |_| false)
}

fn read<S: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    variable_counts: impl Fn(&OsStr) -> bool,
) -> Result<S, Error> {
    let without_ignored = |argument: Arg| match argument.get_env() {
        Some(variable) if !variable_counts(variable) => argument.env(Resettable::Reset),
        _ => argument,
    };
    let mut command = S::command().mut_args(without_ignored);
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    S::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Reads a database URL as a setting, without repeating it in the complaint: it may have a password
/// in it.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseUrlParser;

impl TypedValueParser for DatabaseUrlParser {
    type Value = DatabaseUrl;

    fn parse_ref(
        &self,
        _: &clap::Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<DatabaseUrl, Error> {
        let refused = |sentence: String| Error::raw(ErrorKind::ValueValidation, sentence + "\n");
        let text = value
            .to_str()
            .ok_or_else(|| refused("DATABASE_URL: must be UTF-8".to_owned()))?;
        text.parse()
            .map_err(|invalid: InvalidDatabaseUrl| refused(invalid.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        // Set in every shell, so that reading it would show.
        #[arg(long, env = "PATH", default_value_t = 7)]
        number: u32,
    }

    #[test]
    fn flags_are_read_and_the_environment_is_not() {
        let settings: Settings = settings_from_flags(["--number", "3"]).unwrap();
        assert_eq!(settings.number, 3);
        let settings: Settings = settings_from_flags::<Settings>([] as [&str; 0]).unwrap();
        assert_eq!(settings.number, 7);
    }

    #[test]
    fn a_variable_set_to_nothing_counts_as_not_given() {
        let program = || std::iter::once(OsString::from("program"));
        assert!(
            read::<Settings>(program(), |_| true).is_err(),
            "PATH is not a number"
        );
        assert_eq!(read::<Settings>(program(), |_| false).unwrap().number, 7);
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_flag() {
        let error = settings_from_flags::<Settings>(["--number", "many"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--number") && error.contains("many"),
            "{error}"
        );
    }
}
