use std::fmt;

use shared::notification::MessageFormat;
use wechat::field::FieldProblem;

/// Something that a recipient will not see as it was meant. The message goes out all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A placeholder has no value and shows `-`.
    Missing {
        /// In which text.
        field: String,
        /// Which placeholder.
        name: String,
    },
    /// A text does not fit the type of its field, and something else is shown.
    Unfit {
        /// Which field: `thing1`.
        field: String,
        /// The text as it should be.
        full: String,
        /// As it is.
        shown: String,
        /// What is wrong with it; none if it was only tidied.
        problem: Option<FieldProblem>,
    },
    /// A text is too long, and only its beginning is shown.
    Cut {
        /// Which text.
        field: String,
        /// As it should be.
        full: String,
        /// As it is.
        shown: String,
    },
    /// There is no link: nobody has said where the CRM is in the web.
    NoLink {
        /// The page of the CRM that it should lead to.
        page: String,
    },
    /// The link is left out: it would take too much of the text.
    LinkTooLong {
        /// Where it leads.
        url: String,
    },
    /// The message has another form than the route asks for.
    OtherForm {
        /// What it asks for.
        wanted: MessageFormat,
        /// What it gets.
        used: MessageFormat,
    },
}

impl Warning {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Unfit { .. } => "unfit",
            Self::Cut { .. } => "cut",
            Self::NoLink { .. } => "no_link",
            Self::LinkTooLong { .. } => "link_too_long",
            Self::OtherForm { .. } => "other_form",
        }
    }

    /// Which text it is about.
    pub fn field(&self) -> &str {
        match self {
            Self::Missing { field, .. } | Self::Unfit { field, .. } | Self::Cut { field, .. } => {
                field
            }
            Self::NoLink { .. } | Self::LinkTooLong { .. } => "url",
            Self::OtherForm { .. } => "format",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { field, name } => {
                write!(f, "{field}: {{{{{name}}}}} has no value and shows -")
            }
            Self::Unfit {
                field,
                full,
                shown,
                problem,
            } => {
                write!(f, "{field}: {full:?} is shown as {shown:?}")?;
                match problem {
                    Some(problem) => write!(f, ": {problem}"),
                    None => Ok(()),
                }
            }
            Self::Cut { field, full, .. } => {
                let characters = full.chars().count();
                write!(
                    f,
                    "{field}: too long with {characters} characters, its end is left out"
                )
            }
            Self::NoLink { page } => write!(
                f,
                "url: there is no link to {page}: CRM_URL, where the CRM is in the web, is not given"
            ),
            Self::LinkTooLong { url } => {
                write!(f, "url: too long with {} bytes, it is left out", url.len())
            }
            Self::OtherForm { wanted, used } => {
                write!(f, "format: it goes out as {used}, not as {wanted}")
            }
        }
    }
}
