use super::text_enum;

text_enum! {
    /// What somebody is in the company; what they may do follows from it.
    pub enum Role ("role") {
        /// 系统管理员
        Admin => "admin",
        /// 经理
        Manager => "manager",
        /// 运营
        Operator => "operator",
        /// 派单老师
        Dispatch => "dispatch",
        /// 普通员工
        Employee => "employee",
    }
}

impl Role {
    /// The name that staff see.
    pub fn label(self) -> &'static str {
        match self {
            Self::Admin => "系统管理员",
            Self::Manager => "经理",
            Self::Operator => "运营",
            Self::Dispatch => "派单老师",
            Self::Employee => "普通员工",
        }
    }
}
