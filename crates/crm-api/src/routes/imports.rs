use std::future::Future;
use std::pin::Pin;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use shared::domain::{ImportId, UserId, UtcTimestamp};
use utoipa::{IntoParams, ToSchema};

use crate::assignment::Entrance;
use crate::auth::policy::Act;
use crate::change::Answer;
use crate::envelope::{self, Envelope};
use crate::error::ApiError;
use crate::extract::{BodyLimit, Caller, QueryOf, id_in_path, media_type};
use crate::imports::{
    self, Failure, Import, ImportState, InvalidRows, Job, NewImport, RowFault, Table, TableFault,
};
use crate::state::State;
use crate::validation::unreadable;

/// The largest file, in bytes: 10,000 rows of a kilobyte.
pub(crate) const FILE_BYTES_MAX: usize = 10 * 1024 * 1024;

const NO_SUCH_IMPORT: &str = "导入记录不存在";

/// How to import.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportQuery {
    /// True enters the rows that are right. Otherwise one wrong row keeps all of them out.
    skip_invalid: Option<bool>,
}

/// What became of a file, or is becoming.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImportView {
    #[schema(value_type = String)]
    id: ImportId,
    /// `validating`, `writing`, `done`, `failed`.
    #[schema(value_type = String)]
    state: ImportState,
    skip_invalid: bool,
    /// How many rows the file has, without headings and blank lines.
    total: i32,
    /// How many customers were entered.
    imported: i32,
    /// How many rows are wrong.
    invalid: i32,
    /// How many faults they have in all.
    error_count: i32,
    /// The first 200 of them, by line.
    errors: Vec<RowFaultView>,
    /// Why nothing was entered; null unless `failed`.
    failure: Option<FailureView>,
    #[schema(value_type = String)]
    created_by: UserId,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<UtcTimestamp>,
}

/// What is wrong with a row.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RowFaultView {
    /// The line of the file on which the row begins; the first is 1.
    line: u64,
    /// The heading of the column; null if it is about the whole row.
    column: Option<String>,
    message: String,
}

/// Why an import failed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FailureView {
    /// `invalid_rows`, `interrupted`, `unavailable`, `internal`.
    #[schema(value_type = String)]
    code: Failure,
    message: &'static str,
}

impl From<RowFault> for RowFaultView {
    fn from(fault: RowFault) -> Self {
        Self {
            line: fault.line,
            column: fault.column,
            message: fault.message,
        }
    }
}

impl ImportView {
    fn of(import: Import) -> Result<Self, ApiError> {
        let faults: Vec<RowFault> = serde_json::from_str(&import.faults)
            .map_err(|error| ApiError::Internal(format!("stored faults are no JSON: {error}")))?;
        Ok(Self {
            id: import.id,
            state: import.state,
            skip_invalid: import.invalid_rows == InvalidRows::Skip,
            total: import.total,
            imported: import.imported,
            invalid: import.invalid,
            error_count: import.fault_count,
            errors: faults.into_iter().map(Into::into).collect(),
            failure: import.failure.map(|code| FailureView {
                code,
                message: code.sentence(),
            }),
            created_by: import.user_id,
            created_at: import.created_at,
            finished_at: import.finished_at,
        })
    }
}

/// Enters the customers of a CSV file. The answer comes at once, with the id under which the import
/// can be followed; a file that cannot be read is refused in it.
#[utoipa::path(post, path = "/api/customers/import", tag = "customers", params(ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 202, body = Envelope<ImportView>), (status = 413), (status = 415), (status = 422)))]
pub(crate) async fn import(
    state: State,
    caller: Caller,
    QueryOf(query): QueryOf<ImportQuery>,
    CsvBody(bytes): CsvBody,
) -> Result<HttpResponse, ApiError> {
    let table = web::block(move || Table::read(&bytes))
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    let new = NewImport {
        id: ImportId::generate(),
        user: caller.user.id.clone(),
        invalid_rows: match query.skip_invalid {
            Some(true) => InvalidRows::Skip,
            Some(false) | None => InvalidRows::Refuse,
        },
        total: table.row_count(),
        request_id: caller.request_id.clone(),
    };
    let job = Job {
        new: new.clone(),
        importer: caller.user.clone(),
        table,
        database: state.database.clone(),
        clock: state.clock.clone(),
        telling: state.telling,
    };
    let (now, starting) = (state.now(), state.clone());
    state
        .change(&caller, move |transaction| {
            imports::begin(transaction, &new, now)?;
            let begun = imports::find(transaction.connection(), &new.id)?
                .ok_or_else(|| ApiError::Internal("an import is not there".to_owned()))?;
            let message = format!("文件已接收，正在导入 {} 行数据", new.total);
            let answer = Answer::accepted(message, ImportView::of(begun)?)?;
            Ok(answer.once_committed(move || {
                let counting = starting.clone();
                starting.imports.start(job.run(move |outcomes| {
                    for outcome in &outcomes {
                        counting
                            .metrics
                            .count_assignments(Entrance::Import, outcome);
                    }
                }));
            }))
        })
        .await
}

/// How an import stands, for who sent it and for admins.
#[utoipa::path(get, path = "/api/imports/{id}", tag = "customers", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<ImportView>), (status = 404)))]
pub(crate) async fn show(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: ImportId = id_in_path(&id, NO_SUCH_IMPORT)?;
    let missing = || ApiError::NotFound(NO_SUCH_IMPORT.to_owned());
    let found = read(&state, &id).await?;
    let mut import = found
        .filter(|import| {
            import.user_id == caller.user.id || caller.user.may(Act::SeeImportsOfOthers)
        })
        .ok_or_else(missing)?;
    let now = state.now();
    if import.is_silent(now) {
        let silent = id.clone();
        let given_up = state
            .database
            .write(move |transaction| imports::give_up_if_silent(transaction, &silent, now))
            .await;
        match given_up {
            Ok(()) => import = read(&state, &id).await?.ok_or_else(missing)?,
            // Its process holds it, and so lives: it is as it was read.
            Err(error) => log::debug!("a silent import cannot be given up: {error}"),
        }
    }
    Ok(envelope::ok("获取成功", ImportView::of(import)?))
}

async fn read(state: &State, id: &ImportId) -> Result<Option<Import>, ApiError> {
    let id = id.clone();
    let import = state
        .database
        .run(move |connection| imports::find(connection, &id))
        .await?;
    Ok(import)
}

impl From<TableFault> for ApiError {
    fn from(fault: TableFault) -> Self {
        match fault {
            TableFault::TooManyRows => Self::unprocessable(fault.to_string()),
            TableFault::Empty
            | TableFault::HeadingsOnly
            | TableFault::Encoding(_)
            | TableFault::UnknownColumn { .. }
            | TableFault::DoubledColumn(_)
            | TableFault::MissingColumn(_)
            | TableFault::OpenQuote { .. }
            | TableFault::Unreadable => Self::invalid("file", fault.to_string()),
        }
    }
}

/// A CSV file as a body. One that is too large is refused as soon as that is known, by what the
/// request says of its length or by what has come: it is never held whole.
pub(crate) struct CsvBody(Bytes);

impl FromRequest for CsvBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let refusal = check_head(request).err();
        let limit = BodyLimit::of(request).0;
        let mut payload = payload.take();
        Box::pin(async move {
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            let mut bytes = BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|_| unreadable("", "the body could not be read"))?;
                if bytes.len() + chunk.len() > limit {
                    return Err(ApiError::TooLarge { bytes_max: limit });
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(Self(bytes.freeze()))
        })
    }
}

fn check_head(request: &HttpRequest) -> Result<(), ApiError> {
    if media_type(request).is_none_or(|kind| kind != "text/csv") {
        return Err(ApiError::UnsupportedMediaType {
            expected: "text/csv",
        });
    }
    let header = |name| {
        let value = request.headers().get(name)?;
        value.to_str().ok()
    };
    let charset = header(CONTENT_TYPE)
        .and_then(|value| value.split_once("charset="))
        .map(|(_, charset)| charset.trim_matches(['"', ' ']).to_ascii_lowercase());
    if let Some(charset) = charset
        && !matches!(charset.as_str(), "utf-8" | "utf8")
    {
        return Err(ApiError::invalid(
            "Content-Type",
            "文件编码必须是 UTF-8，请在 Excel 中选择“另存为”“CSV UTF-8（逗号分隔）”后重新上传",
        ));
    }
    let length: Option<usize> = header(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    let limit = BodyLimit::of(request).0;
    if length.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge { bytes_max: limit });
    }
    Ok(())
}
