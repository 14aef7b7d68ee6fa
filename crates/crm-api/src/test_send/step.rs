use serde::Serialize;
use utoipa::ToSchema;

/// One step on the way of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    /// `config`, `token`, `template`, `recipient`, `send`.
    pub(crate) step: StepName,
    /// `ok`, `failed`, `waiting`, `not_reached`.
    pub(crate) state: StepState,
    /// What was found.
    pub(crate) text: String,
    /// What to do, if anything.
    pub(crate) fix: Option<String>,
}

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepName {
    /// The channel is set up and not held, and a relay is there.
    Config,
    /// The platform gives an access token.
    Token,
    /// Template, route and data make a message that the platform takes.
    Template,
    /// The recipient is known to the platform and wants the message.
    Recipient,
    /// The platform takes it.
    Send,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepState {
    /// Well.
    Ok,
    /// Here it ended.
    Failed,
    /// It is not known yet.
    Waiting,
    /// An earlier one has failed.
    NotReached,
}

/// How a test went as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The platform took the message.
    Passed,
    /// A step failed.
    Failed,
    /// It is on its way.
    Waiting,
}

impl StepName {
    pub(crate) const ALL: [Self; 5] = [
        Self::Config,
        Self::Token,
        Self::Template,
        Self::Recipient,
        Self::Send,
    ];

    /// What it is called.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Config => "配置",
            Self::Token => "凭证",
            Self::Template => "模板",
            Self::Recipient => "接收人",
            Self::Send => "发送",
        }
    }
}

impl Step {
    pub(crate) fn ok(step: StepName, text: impl Into<String>) -> Self {
        Self::new(step, StepState::Ok, text, None)
    }

    pub(crate) fn failed(
        step: StepName,
        text: impl Into<String>,
        fix: impl Into<Option<String>>,
    ) -> Self {
        Self::new(step, StepState::Failed, text, fix.into())
    }

    pub(crate) fn waiting(step: StepName, text: impl Into<String>) -> Self {
        Self::new(step, StepState::Waiting, text, None)
    }

    pub(crate) fn not_reached(step: StepName) -> Self {
        Self::new(step, StepState::NotReached, "未进行到这一步", None)
    }

    fn new(step: StepName, state: StepState, text: impl Into<String>, fix: Option<String>) -> Self {
        Self {
            step,
            state,
            text: text.into(),
            fix,
        }
    }
}

impl Verdict {
    /// What these steps come to.
    pub(crate) fn of(steps: &[Step]) -> Self {
        let any = |state| steps.iter().any(|step| step.state == state);
        if any(StepState::Failed) {
            Self::Failed
        } else if any(StepState::Waiting) {
            Self::Waiting
        } else {
            Self::Passed
        }
    }
}
