use crate::domain::text_enum;

text_enum! {
    /// Where a message stands.
    pub enum Status ("status") {
        /// Waits until it is due and a relay takes it.
        Pending => "pending",
        /// A relay has leased it and is delivering it.
        Sending => "sending",
        /// The platform accepted it.
        Sent => "sent",
        /// Given up and kept for a person: the dead letter.
        Failed => "failed",
        /// There was nothing to do: no binding, no subscription left. The reason is on the row.
        Skipped => "skipped",
        /// An operator took it back, it expired before it could be sent, or it was superseded.
        Cancelled => "cancelled",
    }
}

impl Status {
    /// Whether nothing more happens to the message by itself.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Sending => false,
            Self::Sent | Self::Failed | Self::Skipped | Self::Cancelled => true,
        }
    }

    /// Whether an operator may put it back to pending.
    pub fn can_be_requeued(self) -> bool {
        match self {
            Self::Failed | Self::Skipped | Self::Cancelled => true,
            Self::Pending | Self::Sending | Self::Sent => false,
        }
    }

    /// Whether an operator may take it back.
    pub fn can_be_cancelled(self) -> bool {
        match self {
            Self::Pending | Self::Failed => true,
            Self::Sending | Self::Sent | Self::Skipped | Self::Cancelled => false,
        }
    }
}
