/// What a column of a file says of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Column {
    Name,
    Phone,
    WechatId,
    LeadSource,
    ServiceCategory,
    LeadLevel,
    ContractStatus,
    Remarks,
    /// A username; without one, whoever imports.
    Owner,
}

impl Column {
    pub(super) const ALL: &'static [Self] = &[
        Self::Name,
        Self::Phone,
        Self::WechatId,
        Self::LeadSource,
        Self::ServiceCategory,
        Self::LeadLevel,
        Self::ContractStatus,
        Self::Remarks,
        Self::Owner,
    ];

    /// What staff call it. Faults name it so.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Name => "姓名",
            Self::Phone => "手机号",
            Self::WechatId => "微信号",
            Self::LeadSource => "线索来源",
            Self::ServiceCategory => "服务类别",
            Self::LeadLevel => "线索等级",
            Self::ContractStatus => "合同状态",
            Self::Remarks => "备注",
            Self::Owner => "负责人",
        }
    }

    /// What the API calls it.
    const fn field(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Phone => "phone",
            Self::WechatId => "wechatId",
            Self::LeadSource => "leadSource",
            Self::ServiceCategory => "serviceCategory",
            Self::LeadLevel => "leadLevel",
            Self::ContractStatus => "contractStatus",
            Self::Remarks => "remarks",
            Self::Owner => "assignedTo",
        }
    }

    /// The column under this heading.
    pub(super) fn under(heading: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|column| heading == column.title() || heading == column.field())
    }

    /// All headings, to choose from.
    pub(super) fn titles() -> String {
        let titles: Vec<&str> = Self::ALL.iter().map(|column| column.title()).collect();
        titles.join("、")
    }
}
