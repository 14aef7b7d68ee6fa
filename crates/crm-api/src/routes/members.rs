use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use shared::domain::{MemberId, Phone, UtcTimestamp, mask_phone};
use shared::members::{self as shared_members, Member, MemberStatus};
use utoipa::{IntoParams, ToSchema};

use crate::auth::policy::Act;
use crate::change::Answer;
use crate::config::PhoneDisplay;
use crate::envelope::{self, Envelope, Page};
use crate::error::ApiError;
use crate::extract::{Caller, JsonBody, QueryOf, given, id_in_path};
use crate::members::{self, MemberChanges, MemberFilter, NewMember};
use crate::state::State;
use crate::validation::{
    Lines, Paging, indispensable_text, number_within, optional_phone, optional_text,
};

const NO_SUCH_MEMBER: &str = "会员不存在";

/// A member.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberView {
    #[schema(value_type = String)]
    id: MemberId,
    member_no: String,
    nickname: Option<String>,
    wechat: Option<String>,
    /// Masked in lists, and whole in the detail for those who may change members.
    phone: Option<String>,
    /// A code or a word.
    gender: Option<String>,
    birth_year: Option<i32>,
    /// In centimetres.
    height: Option<i32>,
    /// In kilograms.
    weight: Option<i32>,
    province: Option<String>,
    city: Option<String>,
    district: Option<String>,
    /// A code or a word.
    education: Option<String>,
    /// A code or a word.
    occupation: Option<String>,
    income: Option<String>,
    marital_status: Option<String>,
    self_introduction: Option<String>,
    partner_requirements: Option<String>,
    /// `ACTIVE`, `INACTIVE`, `REVOKED`.
    #[schema(value_type = String)]
    status: MemberStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: UtcTimestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: UtcTimestamp,
}

impl MemberView {
    fn new(member: Member, display: PhoneDisplay) -> Self {
        let phone = match display {
            PhoneDisplay::Masked => member.phone.as_deref().map(mask_phone),
            PhoneDisplay::Full => member.phone,
        };
        Self {
            id: member.id,
            member_no: member.member_no,
            nickname: member.nickname,
            wechat: member.wechat,
            phone,
            gender: member.gender,
            birth_year: member.birth_year,
            height: member.height,
            weight: member.weight,
            province: member.province,
            city: member.city,
            district: member.district,
            education: member.education,
            occupation: member.occupation,
            income: member.income,
            marital_status: member.marital_status,
            self_introduction: member.self_introduction,
            partner_requirements: member.partner_requirements,
            status: member.status,
            created_at: member.created_at,
            updated_at: member.updated_at,
        }
    }
}

/// A member to be. Names may also be written `memberNo`, `birthYear` and so on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMemberBody {
    /// Must be given; nobody else has it.
    #[serde(alias = "memberNo")]
    member_no: Option<String>,
    /// Must be given.
    wechat: Option<String>,
    /// Must be given.
    phone: Option<String>,
    nickname: Option<String>,
    /// A code (`male`, `female`) or a word.
    gender: Option<String>,
    /// 1900 to 2100.
    #[serde(alias = "birthYear")]
    birth_year: Option<i32>,
    /// In centimetres, 50 to 260.
    height: Option<i32>,
    /// In kilograms, 20 to 400.
    weight: Option<i32>,
    province: Option<String>,
    city: Option<String>,
    district: Option<String>,
    /// A code (`bachelor`) or a word.
    education: Option<String>,
    /// A code (`teacher`) or a word.
    occupation: Option<String>,
    income: Option<String>,
    #[serde(alias = "maritalStatus")]
    marital_status: Option<String>,
    #[serde(alias = "selfIntroduction")]
    self_introduction: Option<String>,
    #[serde(alias = "partnerRequirements")]
    partner_requirements: Option<String>,
    /// `ACTIVE` (if not given) or `INACTIVE`.
    #[schema(value_type = Option<String>)]
    status: Option<MemberStatus>,
}

/// What is to be changed; what is not given stays, and null takes it away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeMemberBody {
    #[serde(default, alias = "memberNo", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    member_no: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    wechat: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    nickname: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    gender: Option<Option<String>>,
    #[serde(default, alias = "birthYear", deserialize_with = "given")]
    #[schema(value_type = Option<i32>)]
    birth_year: Option<Option<i32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>)]
    height: Option<Option<i32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i32>)]
    weight: Option<Option<i32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    province: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    city: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    district: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    education: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    occupation: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    income: Option<Option<String>>,
    #[serde(default, alias = "maritalStatus", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    marital_status: Option<Option<String>>,
    #[serde(default, alias = "selfIntroduction", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    self_introduction: Option<Option<String>>,
    #[serde(default, alias = "partnerRequirements", deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    partner_requirements: Option<Option<String>>,
    /// `ACTIVE` or `INACTIVE`; `REVOKED` is another request.
    #[schema(value_type = Option<String>)]
    status: Option<MemberStatus>,
}

/// Which members to list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MembersQuery {
    page: Option<u32>,
    /// At most 100.
    page_size: Option<u32>,
    /// A part of the number, the nickname, the WeChat account or the phone number.
    search: Option<String>,
    /// `ACTIVE`, `INACTIVE`, `REVOKED`.
    #[param(value_type = Option<String>)]
    status: Option<MemberStatus>,
    gender: Option<String>,
    province: Option<String>,
    city: Option<String>,
    education: Option<String>,
    occupation: Option<String>,
}

/// Enters a member. If they are active, whom the routes of `member.registered` name is told.
#[utoipa::path(post, path = "/api/members/create", tag = "members", request_body = CreateMemberBody,
    responses((status = 201, body = Envelope<MemberView>), (status = 409)))]
pub(crate) async fn create(
    state: State,
    caller: Caller,
    JsonBody(body): JsonBody<CreateMemberBody>,
) -> Result<HttpResponse, ApiError> {
    let new = new_member(&body)?;
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let member = members::create(transaction, &new, &actor, &request_id, now)?;
            Answer::created("会员创建成功", MemberView::new(member, PhoneDisplay::Full))
        })
        .await
}

/// Lists members, newest first; phone numbers masked.
#[utoipa::path(get, path = "/api/members", tag = "members", params(MembersQuery),
    responses((status = 200, body = Envelope<Page<MemberView>>)))]
pub(crate) async fn list(
    state: State,
    QueryOf(query): QueryOf<MembersQuery>,
) -> Result<HttpResponse, ApiError> {
    let paging = Paging::new(query.page, query.page_size)?;
    let text =
        |field, value: Option<String>| optional_text(field, value.as_deref(), 64, Lines::One);
    let filter = MemberFilter {
        search: text("search", query.search)?,
        status: query.status,
        gender: text("gender", query.gender)?,
        province: text("province", query.province)?,
        city: text("city", query.city)?,
        education: text("education", query.education)?,
        occupation: text("occupation", query.occupation)?,
    };
    let (found, total) = state
        .database
        .run(move |connection| {
            members::search(connection, &filter, paging.offset(), paging.limit())
        })
        .await?;
    let views = found
        .into_iter()
        .map(|member| MemberView::new(member, PhoneDisplay::Masked));
    Ok(envelope::ok(
        "获取成功",
        Page::new(views.collect(), total, paging),
    ))
}

/// One member.
#[utoipa::path(get, path = "/api/members/{id}", tag = "members", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<MemberView>), (status = 404)))]
pub(crate) async fn show(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: MemberId = id_in_path(&id, NO_SUCH_MEMBER)?;
    let member = state
        .database
        .run(move |connection| shared_members::find(connection, &id))
        .await?;
    let member = member.ok_or_else(|| ApiError::NotFound(NO_SUCH_MEMBER.to_owned()))?;
    let display = if caller.user.may(Act::ManageMembers) {
        PhoneDisplay::Full
    } else {
        PhoneDisplay::Masked
    };
    Ok(envelope::ok("获取成功", MemberView::new(member, display)))
}

/// Changes a member. Becoming active is a registration; anything else that changes about an active
/// member is told as an update.
#[utoipa::path(patch, path = "/api/members/{id}", tag = "members", params(("id" = String, Path)),
    request_body = ChangeMemberBody,
    responses((status = 200, body = Envelope<MemberView>), (status = 404), (status = 409)))]
pub(crate) async fn change(
    state: State,
    caller: Caller,
    id: web::Path<String>,
    JsonBody(body): JsonBody<ChangeMemberBody>,
) -> Result<HttpResponse, ApiError> {
    let id: MemberId = id_in_path(&id, NO_SUCH_MEMBER)?;
    let changes = changes(&body)?;
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let member = members::change(transaction, &id, changes, &actor, &request_id, now)?;
            Answer::ok("会员更新成功", MemberView::new(member, PhoneDisplay::Full))
        })
        .await
}

/// Ends a membership. One that has ended stays as it is.
#[utoipa::path(post, path = "/api/members/{id}/revoke", tag = "members", params(("id" = String, Path)),
    responses((status = 200, body = Envelope<MemberView>), (status = 404)))]
pub(crate) async fn revoke(
    state: State,
    caller: Caller,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let id: MemberId = id_in_path(&id, NO_SUCH_MEMBER)?;
    let now = state.now();
    let (actor, request_id) = (caller.user.clone(), caller.request_id.clone());
    state
        .change(&caller, move |transaction| {
            let member = members::revoke(transaction, &id, &actor, &request_id, now)?;
            Answer::ok("会员已撤销", MemberView::new(member, PhoneDisplay::Full))
        })
        .await
}

const NUMBER_CHARACTERS_MAX: usize = 64;
const WECHAT_CHARACTERS_MAX: usize = 64;
const WORD_CHARACTERS_MAX: usize = 50;
const STORY_CHARACTERS_MAX: usize = 2_000;

fn new_member(body: &CreateMemberBody) -> Result<NewMember, ApiError> {
    let member_no = indispensable_text(
        "member_no",
        body.member_no.as_deref(),
        NUMBER_CHARACTERS_MAX,
    )?;
    let wechat = indispensable_text("wechat", body.wechat.as_deref(), WECHAT_CHARACTERS_MAX)?;
    let phone = phone(body.phone.as_deref())?;
    Ok(NewMember {
        member_no,
        nickname: word("nickname", &body.nickname)?,
        wechat,
        phone,
        gender: word("gender", &body.gender)?,
        birth_year: birth_year(&body.birth_year)?,
        height: height(&body.height)?,
        weight: weight(&body.weight)?,
        province: word("province", &body.province)?,
        city: word("city", &body.city)?,
        district: word("district", &body.district)?,
        education: word("education", &body.education)?,
        occupation: word("occupation", &body.occupation)?,
        income: word("income", &body.income)?,
        marital_status: word("marital_status", &body.marital_status)?,
        self_introduction: story("self_introduction", &body.self_introduction)?,
        partner_requirements: story("partner_requirements", &body.partner_requirements)?,
        status: status(body.status)?.unwrap_or(MemberStatus::Active),
    })
}

fn changes(body: &ChangeMemberBody) -> Result<MemberChanges, ApiError> {
    Ok(MemberChanges {
        member_no: if_given(&body.member_no, |number| {
            indispensable_text("member_no", number.as_deref(), NUMBER_CHARACTERS_MAX)
        })?,
        wechat: if_given(&body.wechat, |wechat| {
            indispensable_text("wechat", wechat.as_deref(), WECHAT_CHARACTERS_MAX).map(Some)
        })?,
        phone: if_given(&body.phone, |number| {
            phone(number.as_deref()).map(|phone| Some(phone.unmasked().to_owned()))
        })?,
        nickname: if_given(&body.nickname, |text| word("nickname", text))?,
        gender: if_given(&body.gender, |text| word("gender", text))?,
        birth_year: if_given(&body.birth_year, birth_year)?,
        height: if_given(&body.height, height)?,
        weight: if_given(&body.weight, weight)?,
        province: if_given(&body.province, |text| word("province", text))?,
        city: if_given(&body.city, |text| word("city", text))?,
        district: if_given(&body.district, |text| word("district", text))?,
        education: if_given(&body.education, |text| word("education", text))?,
        occupation: if_given(&body.occupation, |text| word("occupation", text))?,
        income: if_given(&body.income, |text| word("income", text))?,
        marital_status: if_given(&body.marital_status, |text| word("marital_status", text))?,
        self_introduction: if_given(&body.self_introduction, |text| {
            story("self_introduction", text)
        })?,
        partner_requirements: if_given(&body.partner_requirements, |text| {
            story("partner_requirements", text)
        })?,
        status: status(body.status)?,
    })
}

/// Checks what is given.
fn if_given<T, C>(
    value: &Option<T>,
    check: impl FnOnce(&T) -> Result<C, ApiError>,
) -> Result<Option<C>, ApiError> {
    value.as_ref().map(check).transpose()
}

fn phone(number: Option<&str>) -> Result<Phone, ApiError> {
    optional_phone("phone", number)?.ok_or_else(|| ApiError::invalid("phone", "phone 不能为空"))
}

fn word(field: &str, value: &Option<String>) -> Result<Option<String>, ApiError> {
    optional_text(field, value.as_deref(), WORD_CHARACTERS_MAX, Lines::One)
}

fn story(field: &str, value: &Option<String>) -> Result<Option<String>, ApiError> {
    optional_text(field, value.as_deref(), STORY_CHARACTERS_MAX, Lines::Many)
}

fn birth_year(value: &Option<i32>) -> Result<Option<i32>, ApiError> {
    let year = value.map(|year| number_within("birth_year", year, 1_900..=2_100));
    year.transpose()
}

fn height(value: &Option<i32>) -> Result<Option<i32>, ApiError> {
    let height = value.map(|height| number_within("height", height, 50..=260));
    height.transpose()
}

fn weight(value: &Option<i32>) -> Result<Option<i32>, ApiError> {
    let weight = value.map(|weight| number_within("weight", weight, 20..=400));
    weight.transpose()
}

/// Revoking has rules of its own.
fn status(value: Option<MemberStatus>) -> Result<Option<MemberStatus>, ApiError> {
    match value {
        Some(MemberStatus::Revoked) => Err(ApiError::invalid(
            "status",
            "撤销会员请使用 POST /api/members/{id}/revoke",
        )),
        Some(MemberStatus::Active | MemberStatus::Inactive) | None => Ok(value),
    }
}
