//! The words a customer is described with.

use shared::domain::text_enum;

text_enum! {
    /// Where a lead came from.
    pub enum LeadSource ("lead source") {
        /// 美团
        Meituan => "美团",
        /// 抖音
        Douyin => "抖音",
        /// 快手
        Kuaishou => "快手",
        /// 小红书
        Xiaohongshu => "小红书",
        /// 转介绍
        Referral => "转介绍",
        /// 99保姆网
        Baomu99 => "99保姆网",
        /// 杭州同馨
        HangzhouTongxin => "杭州同馨",
        /// 握个手平台
        Wogeshou => "握个手平台",
        /// 线索购买
        Purchased => "线索购买",
        /// 莲心
        Lianxin => "莲心",
        /// 美家
        Meijia => "美家",
        /// 天机鹿
        Tianjilu => "天机鹿",
        /// 孕妈联盟
        YunmaAlliance => "孕妈联盟",
        /// 高阁
        Gaoge => "高阁",
        /// 星星
        Xingxing => "星星",
        /// 妈妈网
        Mamawang => "妈妈网",
        /// 犀牛
        Xiniu => "犀牛",
        /// 宝宝树
        Babytree => "宝宝树",
        /// 幼亲舒
        Youqinshu => "幼亲舒",
        /// 熊猫
        Panda => "熊猫",
        /// 官网
        Website => "官网",
        /// 其他
        Other => "其他",
    }
}

text_enum! {
    /// What a customer is looking for.
    pub enum ServiceCategory ("service category") {
        /// 月嫂
        MaternityNurse => "月嫂",
        /// 住家育儿嫂
        LiveInNanny => "住家育儿嫂",
        /// 保洁
        Cleaning => "保洁",
        /// 住家保姆
        LiveInHousekeeper => "住家保姆",
        /// 养宠
        PetCare => "养宠",
        /// 小时工
        HourlyWorker => "小时工",
        /// 白班育儿
        DayNanny => "白班育儿",
        /// 白班保姆
        DayHousekeeper => "白班保姆",
        /// 住家护老
        LiveInElderCare => "住家护老",
        /// 家教
        Tutor => "家教",
        /// 陪伴师
        Companion => "陪伴师",
    }
}

text_enum! {
    /// How promising a lead is.
    pub enum LeadLevel ("lead level") {
        /// O类
        O => "O类",
        /// A类
        A => "A类",
        /// B类
        B => "B类",
        /// C类
        C => "C类",
        /// D类
        D => "D类",
        /// 流失: lost; given on release to the public pool, taken away on leaving it.
        Lost => "流失",
    }
}

text_enum! {
    /// How far the contract is.
    pub enum ContractStatus ("contract status") {
        /// 已签约
        Signed => "已签约",
        /// 签约中
        Signing => "签约中",
        /// 匹配中
        Matching => "匹配中",
        /// 已面试
        Interviewed => "已面试",
        /// 流失客户
        Lost => "流失客户",
        /// 已退款
        Refunded => "已退款",
        /// 退款中
        Refunding => "退款中",
        /// 待定
        Undecided => "待定",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_as_long_as_agreed() {
        assert_eq!(LeadSource::ALL.len(), 22);
        assert_eq!(ServiceCategory::ALL.len(), 11);
        assert_eq!(LeadLevel::ALL.len(), 6);
        assert_eq!(ContractStatus::ALL.len(), 8);
    }
}
