//! What may happen next.

use proptest::prelude::*;
use proptest::sample::Index;
use shared::outbox::Priority;

/// One step of a sequence. Seconds are counted from the model's present moment.
#[derive(Debug, Clone)]
pub enum Step {
    Enqueue {
        priority: Priority,
        due_in: u64,
        expires_in: Option<u64>,
        attempts_max: i32,
        subject: usize,
        /// How many channels it may go on to.
        fallbacks: usize,
    },
    Claim {
        relay: usize,
        limit: usize,
    },
    /// One of the latest leases, be it over or not: some are settled late, and some twice.
    Settle {
        lease: Index,
        by: Settler,
        verdict: Wish,
    },
    Heartbeat {
        relay: usize,
    },
    /// A relay leaves in good order.
    Deregister {
        relay: usize,
    },
    /// Silence is what goes by without a heartbeat.
    Advance {
        seconds: u64,
    },
    Reclaim,
    CancelExpired,
    /// What a subject's messages tell is no longer so.
    Supersede {
        subject: usize,
    },
    Requeue {
        message: Index,
        attempts: i32,
    },
    Cancel {
        message: Index,
    },
    /// One of the latest repairs, perhaps undone already.
    Undo {
        repair: Index,
    },
    Hold {
        probe_in: Option<u64>,
    },
    Lift,
}

/// Who settles a lease.
#[derive(Debug, Clone, Copy)]
pub enum Settler {
    /// The relay that was given it.
    Holder,
    /// Somebody else, by mistake.
    Stranger,
}

/// A verdict, before the moment of the settlement is known.
#[derive(Debug, Clone, Copy)]
pub enum Wish {
    Accepted,
    Retry {
        after: u64,
    },
    Unknown {
        after: u64,
    },
    Postponed {
        after: u64,
    },
    Refused,
    Pointless,
    /// The recipient is out of reach on the channel.
    Unreachable,
    Presumed,
    Undecided,
    Released,
    Held {
        probe_in: u64,
    },
}

/// How many relays there are.
pub const RELAYS: usize = 3;

/// How many things messages are about.
const SUBJECTS: usize = 3;

/// A sequence of steps in which messages live long enough for something to happen to them.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 30..80)
}

fn step() -> impl Strategy<Value = Step> {
    let relay = 0..RELAYS;
    prop_oneof![
        4 => (priority(), 0..20_u64, prop::option::weighted(0.3, 1..60_u64), 1..8_i32, 0..SUBJECTS, 0..3_usize)
            .prop_map(|(priority, due_in, expires_in, attempts_max, subject, fallbacks)| Step::Enqueue {
                priority, due_in, expires_in, attempts_max, subject, fallbacks
            }),
        10 => (relay.clone(), 0..4_usize).prop_map(|(relay, limit)| Step::Claim { relay, limit }),
        12 => (any::<Index>(), settler(), wish())
            .prop_map(|(lease, by, verdict)| Step::Settle { lease, by, verdict }),
        4 => relay.clone().prop_map(|relay| Step::Heartbeat { relay }),
        1 => relay.prop_map(|relay| Step::Deregister { relay }),
        6 => (0..12_u64).prop_map(|seconds| Step::Advance { seconds }),
        6 => Just(Step::Reclaim),
        1 => Just(Step::CancelExpired),
        1 => (0..SUBJECTS).prop_map(|subject| Step::Supersede { subject }),
        6 => (any::<Index>(), -1..3_i32)
            .prop_map(|(message, attempts)| Step::Requeue { message, attempts }),
        4 => any::<Index>().prop_map(|message| Step::Cancel { message }),
        8 => any::<Index>().prop_map(|repair| Step::Undo { repair }),
        1 => prop::option::weighted(0.8, 0..20_u64).prop_map(|probe_in| Step::Hold { probe_in }),
        1 => Just(Step::Lift),
    ]
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(vec![Priority::High, Priority::Medium, Priority::Low])
}

fn settler() -> impl Strategy<Value = Settler> {
    prop_oneof![9 => Just(Settler::Holder), 1 => Just(Settler::Stranger)]
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => Just(Wish::Accepted),
        4 => (0..10_u64).prop_map(|after| Wish::Retry { after }),
        2 => (0..10_u64).prop_map(|after| Wish::Unknown { after }),
        2 => (0..10_u64).prop_map(|after| Wish::Postponed { after }),
        1 => Just(Wish::Refused),
        1 => Just(Wish::Pointless),
        3 => Just(Wish::Unreachable),
        1 => Just(Wish::Presumed),
        1 => Just(Wish::Undecided),
        2 => Just(Wish::Released),
        1 => (0..10_u64).prop_map(|probe_in| Wish::Held { probe_in }),
    ]
}
