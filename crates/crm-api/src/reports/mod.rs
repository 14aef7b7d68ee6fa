//! What was done in a day, a week and a month, told to those who did it and to those who lead.
//!
//! ```text
//! Schedule ─► Period (the slot's) ─► figures (a query each) ─► batch of people, one transaction ─► …
//! ```
//!
//! Three figures: customers entered (for who entered them), follow-ups (for who wrote them), and
//! contracts signed (for whose customers they were). They are those of the slot's period, also when the
//! slot is made up for later.

mod figures;
mod period;
mod ranking;
mod reporter;
mod told;

pub use figures::{Figures, TeamFigures, figures};
pub use period::{Period, Span};
pub use ranking::Ranking;
pub use reporter::{PEOPLE_AT_ONCE, Report, Reporter};
