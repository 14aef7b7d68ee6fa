use std::collections::HashMap;

use super::{Api, Class, Rule, RuleOrigin, rule};

/// The table, with the classes that somebody has set otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    overrides: HashMap<(Api, i64), Class>,
}

impl Rules {
    /// The table with these classes in place of its own.
    #[must_use]
    pub fn with_overrides(overrides: impl IntoIterator<Item = (Api, i64, Class)>) -> Self {
        Self {
            overrides: overrides
                .into_iter()
                .map(|(api, errcode, class)| ((api, errcode), class))
                .collect(),
        }
    }

    /// The rule for a code; see [`rule`].
    #[must_use]
    pub fn rule(&self, api: Api, errcode: i64) -> Rule {
        let of_table = rule(api, errcode);
        match self.overrides.get(&(api, errcode)) {
            Some(&class) => Rule {
                class,
                origin: RuleOrigin::Override,
                ..of_table
            },
            None => of_table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_replaces_the_class_of_its_own_code_and_call_alone() {
        let rules = Rules::with_overrides([(Api::SubscribeSend, 47_003, Class::Halt)]);
        let set = rules.rule(Api::SubscribeSend, 47_003);
        assert_eq!((set.class, set.origin), (Class::Halt, RuleOrigin::Override));
        assert_eq!(set.meaning, rule(Api::SubscribeSend, 47_003).meaning);
        for (api, errcode) in [(Api::CloudFunction, 47_003), (Api::SubscribeSend, 43_101)] {
            assert_eq!(rules.rule(api, errcode), rule(api, errcode));
        }
    }

    #[test]
    fn a_call_is_read_back_from_its_word() {
        for &api in Api::ALL {
            assert_eq!(api.as_str().parse(), Ok(api));
        }
        assert!("send".parse::<Api>().is_err());
    }
}
