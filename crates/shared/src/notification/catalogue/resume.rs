//! What becomes of the résumés of domestic workers. Another module tells of them, through `POST /api/events`.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

const RESUME: &str = "/resumes/{{resumeId}}";

pub(super) const CREATED: CatalogueEntry = CatalogueEntry {
    title: "新简历创建",
    content: "{{creatorName}} 创建了新简历：{{resumeName}}（{{phone}}），工种：{{jobType}}",
    priority: NotificationPriority::Medium,
    link: RESUME,
    button: "查看简历",
    data: &[
        "resumeId",
        "resumeName",
        "phone",
        "jobType",
        "creatorName",
        "time",
    ],
};

pub(super) const ASSIGNED: CatalogueEntry = CatalogueEntry {
    title: "简历分配通知",
    content: "您有新的简历【{{resumeName}}】，工种：{{jobType}}，请及时跟进！",
    priority: NotificationPriority::High,
    link: RESUME,
    button: "查看简历",
    data: &[
        "resumeId",
        "resumeName",
        "phone",
        "jobType",
        "assignerName",
        "time",
    ],
};

pub(super) const STATUS_CHANGED: CatalogueEntry = CatalogueEntry {
    title: "简历状态变更",
    content: "简历【{{resumeName}}】状态由 {{oldStatus}} 变更为 {{newStatus}}",
    priority: NotificationPriority::Medium,
    link: RESUME,
    button: "查看简历",
    data: &[
        "resumeId",
        "resumeName",
        "oldStatus",
        "newStatus",
        "operatorName",
        "time",
    ],
};

pub(super) const ORDER_STATUS_CHANGED: CatalogueEntry = CatalogueEntry {
    title: "阿姨接单状态变更",
    content: "阿姨【{{resumeName}}】的接单状态由 {{oldStatus}} 变更为 {{newStatus}}",
    priority: NotificationPriority::Medium,
    link: RESUME,
    button: "查看简历",
    data: &[
        "resumeId",
        "resumeName",
        "oldStatus",
        "newStatus",
        "operatorName",
        "time",
    ],
};

pub(super) const FOLLOW_UP_DUE: CatalogueEntry = CatalogueEntry {
    title: "简历跟进提醒",
    content: "简历 {{resumeName}} 已 {{days}} 天未跟进，请及时联系",
    priority: NotificationPriority::Medium,
    link: RESUME,
    button: "立即跟进",
    data: &["resumeId", "resumeName", "phone", "days", "time"],
};
