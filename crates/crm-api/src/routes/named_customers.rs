use std::collections::HashSet;
use std::fmt;

use serde::Serialize;
use shared::domain::CustomerId;
use utoipa::ToSchema;

use super::customers::NO_SUCH_CUSTOMER;
use crate::error::ApiError;

/// The customers that a request names, each once.
#[derive(Debug, PartialEq)]
pub(crate) struct NamedCustomers {
    pub(crate) ids: Vec<CustomerId>,
    /// Texts that cannot be ids: of customers that do not exist.
    pub(crate) malformed: Vec<String>,
}

impl NamedCustomers {
    /// Reads the field `customerIds` of a body, which names one customer at least and `most` at most.
    pub(crate) fn read(texts: &[String], most: usize) -> Result<Self, ApiError> {
        let mut seen = HashSet::new();
        let mut named = Self {
            ids: Vec::new(),
            malformed: Vec::new(),
        };
        for text in texts {
            match text.parse::<CustomerId>() {
                Ok(id) if seen.insert(id.as_str().to_owned()) => named.ids.push(id),
                Err(_) if seen.insert(text.clone()) => {
                    named.malformed.push(text.chars().take(64).collect());
                }
                Ok(_) | Err(_) => {}
            }
        }
        if (1..=most).contains(&seen.len()) {
            Ok(named)
        } else {
            Err(ApiError::invalid(
                "customerIds",
                format!("客户数量必须在1到{most}之间"),
            ))
        }
    }
}

/// Why one customer of a batch was left alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchRefusal {
    /// As it came.
    customer_id: String,
    error: String,
}

impl BatchRefusal {
    /// All of a batch: those that cannot exist, then those that were refused.
    pub(crate) fn all<R: fmt::Display>(
        malformed: Vec<String>,
        refused: &[(CustomerId, R)],
    ) -> Vec<Self> {
        let unknown = malformed.into_iter().map(|customer_id| Self {
            customer_id,
            error: NO_SUCH_CUSTOMER.to_owned(),
        });
        let refused = refused.iter().map(|(id, refusal)| Self {
            customer_id: id.as_str().to_owned(),
            error: refusal.to_string(),
        });
        unknown.chain(refused).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        let id = || CustomerId::generate().as_str().to_owned();
        (0..count).map(|_| id()).collect()
    }

    #[test]
    fn repeated_ids_count_once_whatever_their_form() {
        let mut texts = ids(1);
        texts.push(texts[0].to_uppercase());
        texts.extend(["nobody".to_owned(), "nobody".to_owned()]);
        let named = NamedCustomers::read(&texts, 50).unwrap();
        assert_eq!(named.ids.len(), 1);
        assert_eq!(named.malformed, ["nobody"]);
    }

    #[test]
    fn a_batch_has_one_to_so_many_customers() {
        for most in [50, 1_000] {
            let mut many = ids(most);
            many.push(many[0].clone());
            assert!(NamedCustomers::read(&many, most).is_ok());
            many.push(CustomerId::generate().as_str().to_owned());
            for texts in [Vec::new(), many] {
                let refused = NamedCustomers::read(&texts, most).unwrap_err();
                assert_eq!(refused.to_string(), format!("客户数量必须在1到{most}之间"));
            }
        }
    }
}
