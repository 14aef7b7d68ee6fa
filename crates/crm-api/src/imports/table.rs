use std::io::Read;

use csv::{ReaderBuilder, StringRecord};

use super::column::Column;
use super::encoding::Encoding;

/// The most rows of a file, the header and blank lines not counted.
pub const ROWS_MAX: usize = 10_000;

/// The table in a file: which columns it has, and its lines.
#[derive(Debug)]
pub struct Table {
    /// What each column says; none for one without a heading.
    pub(super) columns: Vec<Option<Column>>,
    pub(super) lines: Vec<Line>,
}

/// A line of a table. With quoted line breaks it is several lines of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line of the file on which it begins; the first is 1.
    pub(super) number: u64,
    pub(super) cells: Vec<String>,
}

/// Why a file is no table of customers: what is wrong, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableFault {
    /// There is nothing in it.
    #[error("文件为空，请上传包含表头和数据的 CSV 文件")]
    Empty,
    /// There are headings and nothing else.
    #[error("文件只有表头，没有数据")]
    HeadingsOnly,
    /// It is not UTF-8.
    #[error(
        "文件编码不是 UTF-8（{}），请在 Excel 中选择“另存为”“CSV UTF-8（逗号分隔）”后重新上传",
        .0.name()
    )]
    Encoding(Encoding),
    /// A column nobody knows.
    #[error("不支持的列：{heading}；支持的列：{}", Column::titles())]
    UnknownColumn {
        /// What stands at its head, the beginning of it.
        heading: String,
    },
    /// A column that is there twice, perhaps under both of its names.
    #[error("列重复：{0}")]
    DoubledColumn(&'static str),
    /// A column that every customer needs.
    #[error("缺少列：{0}")]
    MissingColumn(&'static str),
    /// A quote that is opened and never closed: all that follows would be one value.
    #[error("从第 {line} 行开始有未闭合的引号")]
    OpenQuote {
        /// Where the last row begins.
        line: u64,
    },
    /// More than can be entered at once.
    #[error("文件超过 {ROWS_MAX} 行数据，请拆分后分别导入")]
    TooManyRows,
    /// It cannot be read at all.
    #[error("文件不是有效的 CSV")]
    Unreadable,
}

/// Stands behind the last line while a file is read: if it is not read as a line of its own, a quote
/// is open.
const END: &str = "\u{1}end";

impl Table {
    /// Reads a CSV file in UTF-8, with or without a byte order mark. Rows of nothing but blanks,
    /// which spreadsheets leave at the end, are passed over.
    ///
    /// # Errors
    /// [`TableFault`].
    pub fn read(bytes: &[u8]) -> Result<Self, TableFault> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| TableFault::Encoding(Encoding::guess(bytes)))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(TableFault::Empty);
        }
        if text.contains(END) {
            return Err(TableFault::Unreadable);
        }
        let end = format!("\n{END}\n");
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes().chain(end.as_bytes()));
        let mut columns = None;
        let mut lines = Vec::new();
        let mut record = StringRecord::new();
        while reader
            .read_record(&mut record)
            .map_err(|_| TableFault::Unreadable)?
        {
            if record.iter().eq([END]) {
                return finished(columns, lines);
            }
            if record.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if columns.is_none() {
                columns = Some(read_headings(&record)?);
                continue;
            }
            if lines.len() == ROWS_MAX {
                return Err(TableFault::TooManyRows);
            }
            lines.push(Line {
                number: line_of(&record, text),
                cells: record.iter().map(str::to_owned).collect(),
            });
        }
        let line = lines.last().map_or(1, |last| last.number);
        Err(TableFault::OpenQuote { line })
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        self.lines.len()
    }
}

fn finished(columns: Option<Vec<Option<Column>>>, lines: Vec<Line>) -> Result<Table, TableFault> {
    let columns = columns.ok_or(TableFault::Empty)?;
    if lines.is_empty() {
        return Err(TableFault::HeadingsOnly);
    }
    Ok(Table { columns, lines })
}

/// The line on which a record begins. The reader counts the blank lines before it to the record.
fn line_of(record: &StringRecord, text: &str) -> u64 {
    let Some(position) = record.position() else {
        return 1;
    };
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let before = text.as_bytes().get(from..).unwrap_or_default();
    let breaks = before
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|byte| **byte == b'\n')
        .count();
    position.line() + breaks as u64
}

fn read_headings(record: &StringRecord) -> Result<Vec<Option<Column>>, TableFault> {
    const CHARACTERS_SHOWN: usize = 32;
    let mut columns: Vec<Option<Column>> = Vec::with_capacity(record.len());
    for heading in record.iter().map(str::trim) {
        if heading.is_empty() {
            columns.push(None);
            continue;
        }
        let column = Column::under(heading).ok_or_else(|| TableFault::UnknownColumn {
            heading: heading.chars().take(CHARACTERS_SHOWN).collect(),
        })?;
        if columns.contains(&Some(column)) {
            return Err(TableFault::DoubledColumn(column.title()));
        }
        columns.push(Some(column));
    }
    let has = |column| columns.contains(&Some(column));
    for column in [Column::Name, Column::LeadSource] {
        if !has(column) {
            return Err(TableFault::MissingColumn(column.title()));
        }
    }
    if !has(Column::Phone) && !has(Column::WechatId) {
        return Err(TableFault::MissingColumn("手机号或微信号"));
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "姓名,手机号,线索来源,备注";

    fn numbers(text: &str) -> Vec<u64> {
        let table = Table::read(text.as_bytes()).unwrap();
        table.lines.iter().map(|line| line.number).collect()
    }

    fn fault(text: &str) -> String {
        Table::read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_row_has_the_number_of_the_line_on_which_it_begins() {
        let rows = |between: &str| format!("{HEAD}{between}王,1,美团,a{between}赵,2,美团,b");
        assert_eq!(numbers(&rows("\n")), [2, 3]);
        assert_eq!(numbers(&rows("\r\n")), [2, 3]);
        assert_eq!(numbers(&rows("\n\n\r\n")), [4, 7]);
        assert_eq!(numbers(&format!("\u{feff}{}\n", rows("\n"))), [2, 3]);
        let quoted = format!("{HEAD}\n王,1,美团,\"a\n\n\"\"b\"\"\n\"\n ,,,\n赵,2,美团,c\n");
        assert_eq!(numbers(&quoted), [2, 7]);
        let table = Table::read(quoted.as_bytes()).unwrap();
        assert_eq!(table.lines[0].cells[3], "a\n\n\"b\"\n");
    }

    #[test]
    fn headings_have_two_names_and_come_in_any_order() {
        let table =
            Table::read("leadSource, 微信号 ,name,,备注\n美团,w,王,,x\n".as_bytes()).unwrap();
        assert_eq!(
            table.columns,
            [
                Some(Column::LeadSource),
                Some(Column::WechatId),
                Some(Column::Name),
                None,
                Some(Column::Remarks),
            ]
        );
    }

    #[test]
    fn a_file_that_is_no_table_of_customers_says_why() {
        for (text, said) in [
            ("", "文件为空，请上传包含表头和数据的 CSV 文件"),
            (
                "\u{feff}\n \r\n",
                "文件为空，请上传包含表头和数据的 CSV 文件",
            ),
            ("姓名,手机号,线索来源\n", "文件只有表头，没有数据"),
            ("姓名,手机号,线索来源\n,,\n", "文件只有表头，没有数据"),
            ("姓名,手机号\n王,1\n", "缺少列：线索来源"),
            ("手机号,线索来源\n1,美团\n", "缺少列：姓名"),
            ("姓名,线索来源\n王,美团\n", "缺少列：手机号或微信号"),
            ("姓名,手机号,线索来源,name\n", "列重复：姓名"),
            ("姓名\n\u{1}end\n王\n", "文件不是有效的 CSV"),
            (
                "姓名;手机号;线索来源\n",
                "不支持的列：姓名;手机号;线索来源；支持的列：姓名、手机号、微信号、线索来源、服务类别、线索等级、合同状态、备注、负责人",
            ),
            (
                "姓名,手机号,线索来源,备注\n王,1,美团,x\n赵,2,美团,\"y\n钱,3,美团,z\n",
                "从第 3 行开始有未闭合的引号",
            ),
        ] {
            assert_eq!(fault(text), said, "{text:?}");
        }
        assert_eq!(
            Table::read(b"\xd0\xd5\xc3\xfb,phone\n")
                .unwrap_err()
                .to_string(),
            "文件编码不是 UTF-8（看起来是 GBK/GB18030），请在 Excel 中选择“另存为”“CSV UTF-8（逗号分隔）”后重新上传"
        );
    }

    #[test]
    fn ten_thousand_rows_are_read_and_one_more_is_refused() {
        let rows = |count: usize| format!("{HEAD}\n{}", "王,1,美团,x\n".repeat(count));
        assert_eq!(numbers(&rows(ROWS_MAX)).len(), ROWS_MAX);
        assert_eq!(
            Table::read(rows(ROWS_MAX + 1).as_bytes()).unwrap_err(),
            TableFault::TooManyRows
        );
    }
}
