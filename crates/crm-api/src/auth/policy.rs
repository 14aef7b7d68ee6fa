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
    /// See every customer, not only those assigned to or created by oneself.
    SeeAllCustomers,
    /// Enter and change members, and see their whole phone numbers.
    ManageMembers,
    /// Revoke a membership, or give it back.
    RevokeMembers,
    /// Create, change and deactivate users, and tie them to their identities on the platforms.
    ManageUsers,
    /// Say which kinds go out on which channels.
    ManageRoutes,
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
        Self::SeeAllCustomers,
        Self::ManageMembers,
        Self::RevokeMembers,
        Self::ManageUsers,
        Self::ManageRoutes,
        Self::ReadOutbox,
        Self::RepairOutbox,
    ];

    /// Who may.
    const fn roles(self) -> &'static [Role] {
        use Role::{Admin, Dispatch, Employee, Manager, Operator};
        match self {
            Self::AssignCustomers | Self::ManageMembers => &[Admin, Manager, Operator],
            Self::AssignFromPool | Self::RevokeMembers => &[Admin, Manager],
            Self::CreateCustomers => &[Admin, Manager, Operator, Dispatch, Employee],
            Self::SeeAllCustomers => &[Admin, Manager, Operator, Dispatch],
            Self::ManageUsers | Self::ManageRoutes | Self::RepairOutbox => &[Admin],
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
            Self::SeeAllCustomers => "没有权限查看全部客户",
            Self::ManageMembers => "没有权限管理会员",
            Self::RevokeMembers => "没有权限撤销会员",
            Self::ManageUsers => "没有权限管理用户",
            Self::ManageRoutes => "没有权限管理通知渠道",
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
            (Act::SeeAllCustomers, "yyyy-"),
            (Act::ManageMembers, "yyy--"),
            (Act::RevokeMembers, "yy---"),
            (Act::ManageUsers, "y----"),
            (Act::ManageRoutes, "y----"),
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
