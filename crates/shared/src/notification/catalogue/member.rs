//! Members of the second CRM, whose table other programs write.

use super::CatalogueEntry;
use crate::notification::NotificationPriority;

const MEMBER: &str = "/members/{{memberId}}";

pub(super) const REGISTERED: CatalogueEntry = CatalogueEntry {
    title: "🎉 新会员登记通知",
    content: "会员编号：{{memberNo}}\n性别 | 出生年份：{{gender}} | {{birthYear}}\n身高 | 体重：{{height}} | {{weight}}\n学历 | 职业：{{education}} | {{occupation}}\n所在地：{{location}}\n登记时间：{{time}}",
    priority: NotificationPriority::High,
    link: MEMBER,
    button: "查看详情",
    data: &[
        "memberId",
        "memberNo",
        "nickname",
        "phone",
        "gender",
        "birthYear",
        "height",
        "weight",
        "education",
        "occupation",
        "location",
        "time",
    ],
};

pub(super) const UPDATED: CatalogueEntry = CatalogueEntry {
    title: "用户资料更新通知",
    content: "会员编号：{{memberNo}}\n更新内容：{{changedFields}}\n更新时间：{{time}}",
    priority: NotificationPriority::Medium,
    link: MEMBER,
    button: "查看详情",
    data: &[
        "memberId",
        "memberNo",
        "nickname",
        "phone",
        "gender",
        "birthYear",
        "height",
        "weight",
        "education",
        "occupation",
        "location",
        "changedFields",
        "time",
    ],
};
