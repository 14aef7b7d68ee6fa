use super::inbox::NotificationPriority;
use super::kind::Kind;

/// The words for a kind, and how urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// The headline.
    pub title: &'static str,
    /// The text, with `{{placeholders}}`.
    pub content: &'static str,
    /// How urgent.
    pub priority: NotificationPriority,
    /// Where a click leads, with placeholders.
    pub link: &'static str,
}

/// The entry of a kind: the default Chinese texts.
pub fn catalogue_entry(kind: Kind) -> CatalogueEntry {
    const CUSTOMER: &str = "/customers/{{customerId}}";
    const MEMBER: &str = "/members/{{memberId}}";
    match kind {
        Kind::CustomerCreated => CatalogueEntry {
            title: "新客户创建",
            content: "{{creatorName}} 创建了新客户：{{customerName}}（{{phone}}），来源：{{leadSource}}",
            priority: NotificationPriority::Medium,
            link: CUSTOMER,
        },
        Kind::CustomerAssigned => CatalogueEntry {
            title: "客户分配通知",
            content: "您有新的客户【{{customerName}}】，电话：{{phone}}，来源：{{leadSource}}，请及时跟进！",
            priority: NotificationPriority::High,
            link: CUSTOMER,
        },
        Kind::CustomerBatchAssigned => CatalogueEntry {
            title: "客户批量分配通知",
            content: "{{assignerName}} 分配了 {{count}} 个客户给您，请及时跟进！",
            priority: NotificationPriority::High,
            link: "/customers",
        },
        Kind::CustomerAssignedFromPool => CatalogueEntry {
            title: "公海客户分配",
            content: "管理员从公海分配了客户 {{customerName}} 给您，请及时跟进",
            priority: NotificationPriority::High,
            link: "/customers",
        },
        Kind::CustomerTransferredAway => CatalogueEntry {
            title: "客户转移通知",
            content: "客户 {{customerName}} 已由 {{operatorName}} 转移给 {{newOwner}}",
            priority: NotificationPriority::Medium,
            link: "/customers",
        },
        Kind::MemberRegistered => CatalogueEntry {
            title: "🎉 新会员登记通知",
            content: "会员编号：{{memberNo}}\n性别 | 出生年份：{{gender}} | {{birthYear}}\n身高 | 体重：{{height}} | {{weight}}\n学历 | 职业：{{education}} | {{occupation}}\n所在地：{{location}}\n登记时间：{{time}}",
            priority: NotificationPriority::High,
            link: MEMBER,
        },
        Kind::MemberUpdated => CatalogueEntry {
            title: "用户资料更新通知",
            content: "会员编号：{{memberNo}}\n更新内容：{{changedFields}}\n更新时间：{{time}}",
            priority: NotificationPriority::Medium,
            link: MEMBER,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_words() {
        for &kind in Kind::ALL {
            let entry = catalogue_entry(kind);
            assert!(
                !entry.title.is_empty() && entry.content.contains("{{"),
                "{kind}"
            );
        }
    }
}
