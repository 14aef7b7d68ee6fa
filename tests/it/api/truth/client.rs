use std::ops::AddAssign;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::api::Office;
use crate::harness::{Answer, Session, TestApi};

/// Somebody who does whatever the dice say, and does not look left or right.
pub struct Client {
    requests: Requests,
    draws_from: &'static [Operation],
    dice: Dice,
}

/// What a client needs to ask for something.
struct Requests {
    http: reqwest::Client,
    url: String,
    token: String,
    leads: Vec<String>,
    /// Who may be given customers.
    people: Vec<String>,
}

/// What the clients were answered.
#[derive(Debug, Default)]
pub struct Tally {
    pub operations: usize,
    /// Customers that changed hands.
    pub changed: usize,
    /// Customers or requests that were refused because somebody else was faster, or a cap was
    /// reached.
    pub conflicts: usize,
    /// Customers or requests that were refused for want of a right.
    pub forbidden: usize,
}

/// What can be asked for and is answered when it is done.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Assign,
    AssignInMiniProgram,
    BatchAssign,
    AssignFromPool,
    Claim,
    Release,
    BatchRelease,
}

/// What those draw from who may assign; some are drawn more often than others.
const OF_THE_MANAGERS: &[Operation] = &[
    Operation::Assign,
    Operation::Assign,
    Operation::AssignInMiniProgram,
    Operation::BatchAssign,
    Operation::BatchAssign,
    Operation::AssignFromPool,
    Operation::Claim,
    Operation::Claim,
    Operation::Claim,
    Operation::Release,
    Operation::Release,
    Operation::BatchRelease,
];

/// What the others draw from: now and then something they may not do.
const OF_THE_OTHERS: &[Operation] = &[
    Operation::Assign,
    Operation::Claim,
    Operation::Claim,
    Operation::Claim,
    Operation::Claim,
    Operation::Release,
    Operation::BatchRelease,
];

impl Client {
    pub fn of(office: &Office<'_>, person: &Session, leads: &[String], seed: u64) -> Self {
        // The others have only what they claim, and come up against the cap.
        let people = [&office.sun, &office.wang];
        let managers = [&office.admin, &office.zhang, &office.sun];
        let manages = managers.iter().any(|manager| manager.id == person.id);
        let requests = Requests {
            http: reqwest::Client::new(),
            url: office.api.url(),
            token: person.token.clone(),
            leads: leads.to_vec(),
            people: people.map(|person| person.id.clone()).to_vec(),
        };
        Self {
            requests,
            draws_from: if manages {
                OF_THE_MANAGERS
            } else {
                OF_THE_OTHERS
            },
            dice: Dice(seed),
        }
    }

    pub async fn run(mut self, operations: usize) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..operations {
            let operation = self.draws_from[self.dice.roll(self.draws_from.len())];
            let request = self.requests.of(operation, &mut self.dice);
            let answer = TestApi::send(request).await;
            tally.count(operation, &answer);
        }
        tally
    }
}

impl Requests {
    fn of(&self, operation: Operation, dice: &mut Dice) -> RequestBuilder {
        let lead = &self.leads[dice.roll(self.leads.len())];
        let to = &self.people[dice.roll(self.people.len())];
        let mut some = |most: usize| -> Vec<&String> {
            let count = 1 + dice.roll(most);
            let drawn = (0..count).map(|_| &self.leads[dice.roll(self.leads.len())]);
            drawn.collect()
        };
        let (method, path, body) = match operation {
            Operation::Assign => (
                Method::PATCH,
                format!("{lead}/assign"),
                json!({ "assignedTo": to }),
            ),
            Operation::AssignInMiniProgram => (
                Method::PATCH,
                format!("miniprogram/{lead}/assign"),
                json!({ "assignedTo": to, "assignmentReason": "就近" }),
            ),
            Operation::BatchAssign => (
                Method::POST,
                "batch-assign".to_owned(),
                json!({ "customerIds": some(10), "assignedTo": to }),
            ),
            Operation::AssignFromPool => (
                Method::POST,
                "public-pool/assign".to_owned(),
                json!({ "customerIds": some(6), "assignedTo": to }),
            ),
            Operation::Claim => (
                Method::POST,
                "public-pool/claim".to_owned(),
                json!({ "customerIds": some(3) }),
            ),
            Operation::Release => (
                Method::POST,
                format!("{lead}/release-to-pool"),
                json!({ "reason": "暂无意向" }),
            ),
            Operation::BatchRelease => (
                Method::POST,
                "batch-release-to-pool".to_owned(),
                json!({ "customerIds": some(10), "reason": "清理" }),
            ),
        };
        let url = format!("{}/api/customers/{path}", self.url);
        let request = self.http.request(method, url);
        request.bearer_auth(&self.token).json(&body)
    }
}

impl Tally {
    fn count(&mut self, operation: Operation, answer: &Answer) {
        self.operations += 1;
        let data = &answer.body["data"];
        match answer.status {
            200 => match operation {
                // Null if it was theirs already.
                Operation::Assign | Operation::AssignInMiniProgram => {
                    self.changed += usize::from(!data["notificationData"].is_null());
                }
                Operation::Release => self.changed += 1,
                Operation::BatchAssign
                | Operation::AssignFromPool
                | Operation::Claim
                | Operation::BatchRelease => self.count_batch(data),
            },
            403 => self.forbidden += 1,
            409 => self.conflicts += 1,
            _ => panic!("{operation:?}: {} {}", answer.status, answer.body),
        }
    }

    fn count_batch(&mut self, data: &Value) {
        self.changed += usize::try_from(data["success"].as_u64().unwrap()).unwrap();
        for error in data["errors"].as_array().unwrap() {
            match error["error"].as_str().unwrap() {
                "没有权限释放他人的客户" => self.forbidden += 1,
                "该线索已被他人认领" | "客户不在公海中" | "客户已在公海中" =>
                {
                    self.conflicts += 1;
                }
                other => panic!("{other}"),
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.operations += other.operations;
        self.changed += other.changed;
        self.conflicts += other.conflicts;
        self.forbidden += other.forbidden;
    }
}

/// Numbers that look like chance and are the same for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    /// From 0 to less than `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % sides as u64).unwrap()
    }
}
