use std::str::FromStr;

use serde::{Deserialize, Serialize};
use shared::domain::{InvalidPhone, Phone};

use super::column::Column;
use super::table::{Line, Table};
use crate::customers::{ContractStatus, LeadLevel, LeadSource, ServiceCategory};
use crate::validation::{Lines, optional_text, required_text};

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowFault {
    /// The line of the file on which the row begins; the first is 1.
    pub line: u64,
    /// The heading of the column; none if it is about the row.
    pub column: Option<String>,
    /// What, for the user.
    pub message: String,
}

/// A row whose values can be, each by itself.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) name: String,
    pub(super) phone: Option<Phone>,
    pub(super) wechat_id: Option<String>,
    pub(super) lead_source: LeadSource,
    pub(super) service_category: Option<ServiceCategory>,
    pub(super) lead_level: Option<LeadLevel>,
    pub(super) contract_status: ContractStatus,
    pub(super) remarks: Option<String>,
    /// A username.
    pub(super) owner: Option<String>,
}

/// Checks each value of a table by itself: the rows that can be, and everything that is wrong with
/// the others.
pub(super) fn check(table: &Table) -> (Vec<Row>, Vec<RowFault>) {
    let (mut rows, mut faults) = (Vec::with_capacity(table.lines.len()), Vec::new());
    for line in &table.lines {
        let mut values = Values {
            columns: &table.columns,
            line,
            faults: Vec::new(),
        };
        let row = values.read();
        match row {
            Some(row) if values.faults.is_empty() => rows.push(row),
            Some(_) | None => faults.append(&mut values.faults),
        }
    }
    (rows, faults)
}

/// A line on its way to become a row.
struct Values<'a> {
    columns: &'a [Option<Column>],
    line: &'a Line,
    faults: Vec<RowFault>,
}

impl Values<'_> {
    /// None only if there are faults; but there may be faults beside a row, too.
    fn read(&mut self) -> Option<Row> {
        let (expected, found) = (self.columns.len(), self.line.cells.len());
        if expected != found {
            self.fault_of_row(format!(
                "列数不一致：表头有 {expected} 列，此行有 {found} 列"
            ));
            return None;
        }
        self.refuse_cells_without_heading();
        let name = self.cell(Column::Name).to_owned();
        let name = self.checked(Column::Name, required_text("姓名", &name, 50));
        let phone = self.phone();
        let wechat_id = self.text(Column::WechatId, 64, Lines::One);
        if self.cell(Column::Phone).is_empty() && self.cell(Column::WechatId).is_empty() {
            self.fault_of_row("请填写手机号或微信号".to_owned());
        }
        let lead_source = self.word(Column::LeadSource, LeadSource::ALL);
        if self.cell(Column::LeadSource).is_empty() {
            self.fault(Column::LeadSource, "线索来源不能为空".to_owned());
        }
        let service_category = self.word(Column::ServiceCategory, ServiceCategory::ALL);
        let lead_level = self.word(Column::LeadLevel, LeadLevel::ALL);
        let contract_status = self.word(Column::ContractStatus, ContractStatus::ALL);
        let remarks = self.text(Column::Remarks, 2_000, Lines::Many);
        let owner = self.text(Column::Owner, 64, Lines::One);
        Some(Row {
            line: self.line.number,
            name: name?,
            phone,
            wechat_id,
            lead_source: lead_source?,
            service_category,
            lead_level,
            contract_status: contract_status.unwrap_or(ContractStatus::Undecided),
            remarks,
            owner,
        })
    }

    /// Empty where the table has no such column.
    fn cell(&self, column: Column) -> &str {
        let position = self.columns.iter().position(|here| *here == Some(column));
        let cell = position.and_then(|position| self.line.cells.get(position));
        cell.map_or("", |cell| cell.trim())
    }

    fn phone(&mut self) -> Option<Phone> {
        let cell = self.cell(Column::Phone);
        if cell.is_empty() {
            return None;
        }
        let phone: Result<Phone, InvalidPhone> = cell.parse();
        self.checked(Column::Phone, phone)
    }

    fn text(&mut self, column: Column, characters_max: usize, lines: Lines) -> Option<String> {
        let text = optional_text(
            column.title(),
            Some(self.cell(column)),
            characters_max,
            lines,
        );
        self.checked(column, text).flatten()
    }

    /// One of a list of words.
    fn word<T: FromStr + ToString>(&mut self, column: Column, all: &[T]) -> Option<T> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return None;
        }
        if let Ok(word) = cell.parse() {
            return Some(word);
        }
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        let message = format!("{}只能是：{}", column.title(), known.join("、"));
        self.fault(column, message);
        None
    }

    fn refuse_cells_without_heading(&mut self) {
        let cells = self.columns.iter().zip(&self.line.cells).enumerate();
        let nameless = cells
            .filter(|(_, (column, cell))| column.is_none() && !cell.trim().is_empty())
            .map(|(position, _)| position + 1)
            .collect::<Vec<_>>();
        for position in nameless {
            self.fault_of_row(format!("第 {position} 列没有列名，但有内容"));
        }
    }

    fn checked<T, E: ToString>(&mut self, column: Column, value: Result<T, E>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(column, error.to_string());
                None
            }
        }
    }

    fn fault(&mut self, column: Column, message: String) {
        self.faults
            .push(fault(self.line.number, Some(column), message));
    }

    fn fault_of_row(&mut self, message: String) {
        self.faults.push(fault(self.line.number, None, message));
    }
}

/// Something wrong with the row that begins on this line.
pub(super) fn fault(line: u64, column: Option<Column>, message: String) -> RowFault {
    RowFault {
        line,
        column: column.map(|column| column.title().to_owned()),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_all_rows_are_told_by_line_and_column() {
        let text = "姓名,手机号,微信号,线索来源,服务类别,线索等级,合同状态,备注,负责人,\n\
            王女士,13800138999,,美团,月嫂,A类,签约中,\"两\n行\",lina,\n\
            ,123,,报纸,,,,,,\n\
            赵先生,,,抖音,,E类,,,,x\n\
            钱女士,13800138998\n\
            孙先生,,sun,,,,,,,\n";
        let (rows, faults) = check(&Table::read(text.as_bytes()).unwrap());
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].remarks.as_deref(), Some("两\n行"));
        assert_eq!(rows[0].owner.as_deref(), Some("lina"));
        let told: Vec<String> = faults
            .into_iter()
            .map(|fault| {
                let column = fault.column.unwrap_or_default();
                format!("{} {column} {}", fault.line, fault.message)
            })
            .collect();
        let sources = told[2].split('：').next().unwrap();
        assert_eq!(sources, "4 线索来源 线索来源只能是");
        assert_eq!(told[0], "4 姓名 字段 姓名 不能为空");
        assert_eq!(told[1], "4 手机号 手机号格式不正确");
        assert_eq!(
            told[3..],
            [
                "5  第 10 列没有列名，但有内容",
                "5  请填写手机号或微信号",
                "5 线索等级 线索等级只能是：O类、A类、B类、C类、D类、流失",
                "6  列数不一致：表头有 10 列，此行有 2 列",
                "7 线索来源 线索来源不能为空",
            ]
        );
    }
}
