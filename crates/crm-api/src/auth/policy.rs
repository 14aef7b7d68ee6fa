//! What each role may do: one table.

use shared::domain::Role;

/// Something not everybody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Act {
    /// Give customers to somebody, one or many.
    AssignCustomers,
    /// Give customers of the public pool to somebody.
    AssignFromPool,
    /// Enter a customer, as one's own.
    CreateCustomers,
    /// Take customers out of the public pool for oneself.
    ClaimCustomers,
    /// Put customers back into the public pool; others than one's own only with
    /// [`Self::ReleaseAnyCustomer`].
    ReleaseCustomers,
    /// Put customers of others back into the public pool.
    ReleaseAnyCustomer,
    /// Write down what was said and done with a customer.
    FollowUp,
    /// Enter many customers at once, from a file, for anybody.
    ImportCustomers,
    /// See what became of the files that others have imported.
    SeeImportsOfOthers,
    /// Keep a customer from being released or moved by rule, and let it go again.
    FreezeCustomers,
    /// Remove a customer and what is known of them.
    DeleteCustomers,
    /// See who did what with a customer.
    ReadOperationLogs,
    /// Write and run the rules by which leads move on.
    ManageTransferRules,
    /// See every customer, not only those assigned to or created by oneself.
    SeeAllCustomers,
    /// Enter and change members, and see their whole phone numbers.
    ManageMembers,
    /// Revoke a membership, or give it back.
    RevokeMembers,
    /// Create, change and deactivate users, and tie them to their identities on the platforms.
    ManageUsers,
    /// Say which kinds go out on which channels, and in which words.
    ManageRoutes,
    /// See when what is done at fixed times was done last, and is done next.
    ReadSchedules,
    /// Tell staff of something that this API does not know of itself, such as an announcement.
    SendEvents,
    /// See what waits for delivery, what failed and why.
    ReadOutbox,
    /// Requeue, cancel and edit messages, and undo that.
    RepairOutbox,
}

impl Act {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AssignCustomers,
        Self::AssignFromPool,
        Self::CreateCustomers,
        Self::ClaimCustomers,
        Self::ReleaseCustomers,
        Self::ReleaseAnyCustomer,
        Self::FollowUp,
        Self::ImportCustomers,
        Self::SeeImportsOfOthers,
        Self::FreezeCustomers,
        Self::DeleteCustomers,
        Self::ReadOperationLogs,
        Self::ManageTransferRules,
        Self::SeeAllCustomers,
        Self::ManageMembers,
        Self::RevokeMembers,
        Self::ManageUsers,
        Self::ManageRoutes,
        Self::ReadSchedules,
        Self::SendEvents,
        Self::ReadOutbox,
        Self::RepairOutbox,
    ];

    /// Who may.
    const fn roles(self) -> &'static [Role] {
        use Role::{Admin, Dispatch, Employee, Manager, Operator};
        match self {
            Self::AssignCustomers
            | Self::ReleaseAnyCustomer
            | Self::ImportCustomers
            | Self::ManageMembers => &[Admin, Manager, Operator],
            Self::AssignFromPool | Self::ManageTransferRules | Self::RevokeMembers => {
                &[Admin, Manager]
            }
            Self::CreateCustomers
            | Self::ClaimCustomers
            | Self::ReleaseCustomers
            | Self::FollowUp => &[Admin, Manager, Operator, Dispatch, Employee],
            Self::SeeAllCustomers => &[Admin, Manager, Operator, Dispatch],
            Self::SeeImportsOfOthers
            | Self::FreezeCustomers
            | Self::DeleteCustomers
            | Self::ReadOperationLogs
            | Self::ManageUsers
            | Self::ManageRoutes
            | Self::ReadSchedules
            | Self::SendEvents
            | Self::RepairOutbox => &[Admin],
            Self::ReadOutbox => &[Admin, Manager],
        }
    }

    /// Whether `role` may.
    pub fn is_allowed_to(self, role: Role) -> bool {
        self.roles().contains(&role)
    }

    /// What somebody is told who may not.
    pub const fn refusal(self) -> &'static str {
        match self {
            Self::AssignCustomers => "没有权限分配客户",
            Self::AssignFromPool => "没有权限从公海分配客户",
            Self::CreateCustomers => "没有权限创建客户",
            Self::ClaimCustomers => "没有权限领取客户",
            Self::ReleaseCustomers => "没有权限释放客户",
            Self::ReleaseAnyCustomer => "没有权限释放他人的客户",
            Self::FollowUp => "没有权限添加跟进记录",
            Self::ImportCustomers => "没有权限导入客户",
            Self::SeeImportsOfOthers => "没有权限查看他人的导入记录",
            Self::FreezeCustomers => "没有权限冻结客户",
            Self::DeleteCustomers => "没有权限删除客户",
            Self::ReadOperationLogs => "没有权限查看操作日志",
            Self::ManageTransferRules => "没有权限管理线索流转规则",
            Self::SeeAllCustomers => "没有权限查看全部客户",
            Self::ManageMembers => "没有权限管理会员",
            Self::RevokeMembers => "没有权限撤销会员",
            Self::ManageUsers => "没有权限管理用户",
            Self::ManageRoutes => "没有权限管理通知渠道",
            Self::ReadSchedules => "没有权限查看定时任务",
            Self::SendEvents => "没有权限发布通知事件",
            Self::ReadOutbox => "没有权限查看消息队列",
            Self::RepairOutbox => "没有权限处理消息队列",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        // admin, manager, operator, dispatch, employee
        for (act, may) in [
            (Act::AssignCustomers, "yyy--"),
            (Act::AssignFromPool, "yy---"),
            (Act::CreateCustomers, "yyyyy"),
            (Act::ClaimCustomers, "yyyyy"),
            (Act::ReleaseCustomers, "yyyyy"),
            (Act::ReleaseAnyCustomer, "yyy--"),
            (Act::FollowUp, "yyyyy"),
            (Act::ImportCustomers, "yyy--"),
            (Act::SeeImportsOfOthers, "y----"),
            (Act::FreezeCustomers, "y----"),
            (Act::DeleteCustomers, "y----"),
            (Act::ReadOperationLogs, "y----"),
            (Act::ManageTransferRules, "yy---"),
            (Act::SeeAllCustomers, "yyyy-"),
            (Act::ManageMembers, "yyy--"),
            (Act::RevokeMembers, "yy---"),
            (Act::ManageUsers, "y----"),
            (Act::ManageRoutes, "y----"),
            (Act::ReadSchedules, "y----"),
            (Act::SendEvents, "y----"),
            (Act::ReadOutbox, "yy---"),
            (Act::RepairOutbox, "y----"),
        ] {
            let row: String = Role::ALL
                .iter()
                .map(|role| if act.is_allowed_to(*role) { 'y' } else { '-' })
                .collect();
            assert_eq!(row, may, "{act:?}");
        }
    }

    #[test]
    fn every_refusal_says_so() {
        for act in Act::ALL {
            assert!(act.refusal().starts_with("没有权限"), "{act:?}");
        }
    }
}
