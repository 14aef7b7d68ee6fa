//! Requests that may be sent twice and are done once (`Idempotency-Key`).
//!
//! ```text
//! header and body ─► RepeatableRequest ─► claim, in the transaction of the change
//!                                            ├─ first: the change, then keep its answer
//!                                            ├─ done before: the answer that was kept
//!                                            └─ another request under the same key: refused
//! ```
//!
//! The key is written first: a second request that comes at the same moment waits until the first
//! has committed, and is answered like it. What fails keeps nothing, and may be tried again.

mod kept;
mod request;

pub(crate) use kept::{Claim, KeptAnswer, KeyOwner, claim, keep};
pub(crate) use request::{Fingerprints, RepeatableRequest, Repeater, repeatable_request};
