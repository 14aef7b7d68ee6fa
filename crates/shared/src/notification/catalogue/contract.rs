//! What becomes of contracts. Another module tells of them, through `POST /api/events`.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

const CONTRACT: &str = "/contracts/{{contractId}}";

pub(super) const CREATED: CatalogueEntry = CatalogueEntry {
    title: "新合同创建",
    content: "{{creatorName}} 创建了新合同：{{contractNumber}}，客户：{{customerName}}，阿姨：{{workerName}}",
    priority: NotificationPriority::Medium,
    link: CONTRACT,
    button: "查看合同",
    data: &[
        "contractId",
        "contractNumber",
        "customerName",
        "workerName",
        "creatorName",
        "time",
    ],
};

pub(super) const SIGNED: CatalogueEntry = CatalogueEntry {
    title: "合同签署完成",
    content: "合同 {{contractNumber}} 已签署完成，客户：{{customerName}}，阿姨：{{workerName}}",
    priority: NotificationPriority::High,
    link: CONTRACT,
    button: "查看合同",
    data: &[
        "contractId",
        "contractNumber",
        "customerName",
        "workerName",
        "time",
    ],
};

pub(super) const WORKER_CHANGED: CatalogueEntry = CatalogueEntry {
    title: "合同换人通知",
    content: "合同 {{contractNumber}}（客户：{{customerName}}）的阿姨由 {{oldWorker}} 更换为 {{newWorker}}",
    priority: NotificationPriority::High,
    link: CONTRACT,
    button: "查看合同",
    data: &[
        "contractId",
        "contractNumber",
        "customerName",
        "oldWorker",
        "newWorker",
        "operatorName",
        "time",
    ],
};

pub(super) const EXPIRING_SOON: CatalogueEntry = CatalogueEntry {
    title: "合同即将到期",
    content: "合同 {{contractNumber}}（客户：{{customerName}}）将于 {{expiryDate}} 到期，还有 {{days}} 天",
    priority: NotificationPriority::High,
    link: CONTRACT,
    button: "查看合同",
    data: &[
        "contractId",
        "contractNumber",
        "customerName",
        "expiryDate",
        "days",
        "time",
    ],
};

pub(super) const STATUS_CHANGED: CatalogueEntry = CatalogueEntry {
    title: "合同状态变更",
    content: "合同 {{contractNumber}}（客户：{{customerName}}）状态由 {{oldStatus}} 变更为 {{newStatus}}",
    priority: NotificationPriority::Medium,
    link: CONTRACT,
    button: "查看合同",
    data: &[
        "contractId",
        "contractNumber",
        "customerName",
        "oldStatus",
        "newStatus",
        "operatorName",
        "time",
    ],
};
