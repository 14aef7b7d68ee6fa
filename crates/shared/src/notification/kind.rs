use crate::domain::text_enum;

/// Who gets what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Users, each by their own binding.
    Staff,
    /// Whom the route names: it is about nobody in particular.
    RouteRecipients,
}

text_enum! {
    /// What happened.
    pub enum Kind ("notification kind") {
        /// A customer was entered.
        CustomerCreated => "customer.created",
        /// A customer got a new owner, who is told.
        CustomerAssigned => "customer.assigned",
        /// Several customers got a new owner at once, who is told once.
        CustomerBatchAssigned => "customer.batch_assigned",
        /// A customer was assigned from the public pool.
        CustomerAssignedFromPool => "customer.assigned_from_pool",
        /// A customer went to somebody else; the previous owner is told.
        CustomerTransferredAway => "customer.transferred_away",
        /// A member registered, or became active.
        MemberRegistered => "member.registered",
        /// What is known of a member has changed.
        MemberUpdated => "member.updated",
    }
}

impl Kind {
    /// Who gets it.
    pub fn audience(self) -> Audience {
        match self {
            Self::CustomerCreated
            | Self::CustomerAssigned
            | Self::CustomerBatchAssigned
            | Self::CustomerAssignedFromPool
            | Self::CustomerTransferredAway => Audience::Staff,
            Self::MemberRegistered | Self::MemberUpdated => Audience::RouteRecipients,
        }
    }
}
