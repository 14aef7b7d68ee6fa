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
        /// A customer went back to the public pool on somebody else's word; the previous owner is told.
        CustomerReclaimed => "customer.reclaimed",
        /// The contract of a customer has got further, or not, on somebody else's word.
        CustomerStatusChanged => "customer.status_changed",
        /// Nobody has followed up on a customer for days; the owner is reminded.
        CustomerFollowUpDue => "customer.follow_up_due",
        /// Somebody else followed up on a customer; the owner is told.
        CustomerFollowUpAdded => "customer.follow_up_added",
        /// Leads went from somebody to colleagues by rule; told once a run.
        LeadAutoTransferOut => "lead.auto_transfer_out",
        /// Leads came to somebody from colleagues by rule; told once a run.
        LeadAutoTransferIn => "lead.auto_transfer_in",
        /// A résumé was entered.
        ResumeCreated => "resume.created",
        /// A résumé got a new owner.
        ResumeAssigned => "resume.assigned",
        /// The state of a résumé has changed.
        ResumeStatusChanged => "resume.status_changed",
        /// A domestic worker takes orders, or no more.
        ResumeOrderStatusChanged => "resume.order_status_changed",
        /// Nobody has followed up on a résumé for days.
        ResumeFollowUpDue => "resume.follow_up_due",
        /// A contract was made.
        ContractCreated => "contract.created",
        /// A contract was signed by all.
        ContractSigned => "contract.signed",
        /// Somebody else does the work of a contract now.
        ContractWorkerChanged => "contract.worker_changed",
        /// A contract ends soon.
        ContractExpiringSoon => "contract.expiring_soon",
        /// The state of a contract has changed.
        ContractStatusChanged => "contract.status_changed",
        /// What somebody did today.
        ReportDailyPersonal => "report.daily_personal",
        /// What the team did today.
        ReportDailyTeam => "report.daily_team",
        /// What was done this week.
        ReportWeekly => "report.weekly",
        /// What was done this month.
        ReportMonthly => "report.monthly",
        /// A member registered, or became active.
        MemberRegistered => "member.registered",
        /// What is known of a member has changed.
        MemberUpdated => "member.updated",
        /// Something that all should know.
        SystemAnnouncement => "system.announcement",
        /// What somebody did not want to be disturbed with, told at once.
        SystemDigest => "system.digest",
    }
}

impl Kind {
    /// Whether everybody is told of it, whatever they have muted: it is what they are there for.
    pub fn is_mandatory(self) -> bool {
        matches!(
            self,
            Self::CustomerAssigned
                | Self::CustomerBatchAssigned
                | Self::CustomerAssignedFromPool
                | Self::LeadAutoTransferIn
                | Self::SystemAnnouncement
                // It has in it what was not muted, each by itself.
                | Self::SystemDigest
        )
    }

    /// Who gets it.
    pub fn audience(self) -> Audience {
        match self {
            Self::CustomerCreated
            | Self::CustomerAssigned
            | Self::CustomerBatchAssigned
            | Self::CustomerAssignedFromPool
            | Self::CustomerTransferredAway
            | Self::CustomerReclaimed
            | Self::CustomerStatusChanged
            | Self::CustomerFollowUpDue
            | Self::CustomerFollowUpAdded
            | Self::LeadAutoTransferOut
            | Self::LeadAutoTransferIn
            | Self::ResumeCreated
            | Self::ResumeAssigned
            | Self::ResumeStatusChanged
            | Self::ResumeOrderStatusChanged
            | Self::ResumeFollowUpDue
            | Self::ContractCreated
            | Self::ContractSigned
            | Self::ContractWorkerChanged
            | Self::ContractExpiringSoon
            | Self::ContractStatusChanged
            | Self::ReportDailyPersonal
            | Self::ReportDailyTeam
            | Self::ReportWeekly
            | Self::ReportMonthly
            | Self::SystemAnnouncement
            | Self::SystemDigest => Audience::Staff,
            Self::MemberRegistered | Self::MemberUpdated => Audience::RouteRecipients,
        }
    }
}
