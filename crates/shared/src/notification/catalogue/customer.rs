//! What becomes of customers and leads.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

const CUSTOMER: &str = "/customers/{{customerId}}";
const CUSTOMERS: &str = "/customers";

/// An assignment tells of one customer or of several; of several only how many.
const ASSIGNMENT_DATA: &[&str] = &[
    "customerId",
    "customerName",
    "phone",
    "leadSource",
    "serviceCategory",
    "count",
    "customerCount",
    "source",
    "assignerName",
    "operatorName",
    "newOwner",
    "time",
    "assignTime",
];

pub(super) const CREATED: CatalogueEntry = CatalogueEntry {
    title: "新客户创建",
    content: "{{creatorName}} 创建了新客户：{{customerName}}（{{phone}}），来源：{{leadSource}}",
    priority: NotificationPriority::Medium,
    link: CUSTOMER,
    button: "查看客户",
    data: &[
        "customerId",
        "customerName",
        "phone",
        "leadSource",
        "serviceCategory",
        "creatorName",
        "time",
    ],
};

pub(super) const ASSIGNED: CatalogueEntry = CatalogueEntry {
    title: "客户分配通知",
    content: "您有新的客户【{{customerName}}】，电话：{{phone}}，来源：{{leadSource}}，请及时跟进！",
    priority: NotificationPriority::High,
    link: CUSTOMER,
    button: "查看客户",
    data: ASSIGNMENT_DATA,
};

pub(super) const BATCH_ASSIGNED: CatalogueEntry = CatalogueEntry {
    title: "客户批量分配通知",
    content: "{{assignerName}} 分配了 {{count}} 个客户给您，请及时跟进！",
    priority: NotificationPriority::High,
    link: CUSTOMERS,
    button: "查看客户",
    data: ASSIGNMENT_DATA,
};

pub(super) const ASSIGNED_FROM_POOL: CatalogueEntry = CatalogueEntry {
    title: "公海客户分配",
    content: "管理员从公海分配了客户 {{customerName}} 给您，请及时跟进",
    priority: NotificationPriority::High,
    link: CUSTOMERS,
    button: "查看客户",
    data: ASSIGNMENT_DATA,
};

pub(super) const TRANSFERRED_AWAY: CatalogueEntry = CatalogueEntry {
    title: "客户转移通知",
    content: "客户 {{customerName}} 已由 {{operatorName}} 转移给 {{newOwner}}",
    priority: NotificationPriority::Medium,
    link: CUSTOMERS,
    button: "查看客户",
    data: ASSIGNMENT_DATA,
};

pub(super) const RECLAIMED: CatalogueEntry = CatalogueEntry {
    title: "客户回收通知",
    content: "您的客户 {{customerName}} 已被回收到公海，原因：{{reason}}",
    priority: NotificationPriority::High,
    link: CUSTOMERS,
    button: "查看客户",
    data: &[
        "customerId",
        "customerName",
        "phone",
        "leadSource",
        "serviceCategory",
        "count",
        "customerCount",
        "reason",
        "source",
        "operatorName",
        "time",
    ],
};

pub(super) const STATUS_CHANGED: CatalogueEntry = CatalogueEntry {
    title: "客户状态变更",
    content: "客户【{{customerName}}】状态由 {{oldStatus}} 变更为 {{newStatus}}",
    priority: NotificationPriority::Medium,
    link: CUSTOMER,
    button: "查看客户",
    data: &[
        "customerId",
        "customerName",
        "phone",
        "leadSource",
        "serviceCategory",
        "oldStatus",
        "newStatus",
        "operatorName",
        "time",
    ],
};

pub(super) const FOLLOW_UP_DUE: CatalogueEntry = CatalogueEntry {
    title: "客户跟进提醒",
    content: "客户 {{customerName}} 已 {{days}} 天未跟进，请及时联系",
    priority: NotificationPriority::Medium,
    link: CUSTOMER,
    button: "立即跟进",
    data: &[
        "customerId",
        "customerName",
        "phone",
        "leadSource",
        "serviceCategory",
        "count",
        "customerCount",
        "days",
        "time",
    ],
};

pub(super) const FOLLOW_UP_ADDED: CatalogueEntry = CatalogueEntry {
    title: "您的客户有新跟进记录",
    content: "{{operatorName}} 对客户【{{customerName}}】添加了跟进记录：{{summary}}",
    priority: NotificationPriority::Medium,
    link: CUSTOMER,
    button: "查看跟进",
    data: &[
        "customerId",
        "customerName",
        "phone",
        "leadSource",
        "serviceCategory",
        "summary",
        "operatorName",
        "time",
    ],
};

pub(super) const AUTO_TRANSFER_OUT: CatalogueEntry = CatalogueEntry {
    title: "线索自动流出通知",
    content: "您有 {{count}} 条线索已于 {{time}} 自动流转给其他同事",
    priority: NotificationPriority::Medium,
    link: CUSTOMERS,
    button: "查看客户",
    data: &["count", "time"],
};

pub(super) const AUTO_TRANSFER_IN: CatalogueEntry = CatalogueEntry {
    title: "线索自动流入通知",
    content: "您有 {{count}} 条新线索已于 {{time}} 自动流转给您",
    priority: NotificationPriority::High,
    link: CUSTOMERS,
    button: "查看客户",
    data: &["count", "time"],
};
