use crate::domain::text_enum;

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
    }
}
