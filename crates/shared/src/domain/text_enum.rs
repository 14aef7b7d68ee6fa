use std::fmt;

/// A text that is none of the values an enum knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}; known: {known}")]
pub struct UnknownText {
    /// What was expected, in words: `role`, `channel`.
    pub what: &'static str,
    /// What came instead.
    pub text: String,
    /// All values that would have been right, separated by commas.
    pub known: String,
}

impl UnknownText {
    /// `text` is none of `known`. For [`text_enum!`].
    pub fn new(what: &'static str, text: &str, known: &[&'static str]) -> Self {
        // A hostile value must not flood the log.
        let text = text.chars().take(64).collect();
        Self {
            what,
            text,
            known: known.join(", "),
        }
    }
}

/// Writes the text of an enum value; the body of every generated `Display`.
pub fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.pad(text)
}

/// An enum whose values have one text each: in the database, in JSON, in logs and on the command
/// line. The texts are written down once, here.
#[macro_export]
#[doc(hidden)]
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($what:literal) {
            $( $(#[$variant_meta:meta])* $variant:ident => $text:literal, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )+ }

        impl $name {
            /// Every value, in the order of the definition.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The text that stands for this value everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::domain::write_enum_text(f, self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::UnknownText;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::domain::UnknownText::new($what, text, &[ $( $text, )+ ])),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        $crate::db::columns::text_column!($name);
    };
}
#[doc(inline)]
pub use text_enum;
