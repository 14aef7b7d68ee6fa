use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// The figures of one relay. Each relay has its own registry: several may live in one process.
pub(crate) struct Metrics {
    registry: Registry,
    /// Attempts by channel and verdict.
    pub(crate) attempts: IntCounterVec,
    /// Messages that took over from others, by the channels of both and the cause.
    pub(crate) fallbacks: IntCounterVec,
    /// Error codes by channel.
    pub(crate) errcodes: IntCounterVec,
    /// Error codes that no rule was written for.
    pub(crate) unknown_errcodes: IntCounter,
    /// Seconds from enqueueing to acceptance.
    pub(crate) delivery_seconds: HistogramVec,
    /// Seconds one request took.
    pub(crate) request_seconds: HistogramVec,
    /// Messages in hand.
    pub(crate) in_hand: IntGaugeVec,
    /// Settlements that came too late.
    pub(crate) leases_lost: IntCounter,
    /// Messages taken back from relays that did not return.
    pub(crate) rescued: IntCounter,
    /// Digests made, by channel.
    pub(crate) digests: IntCounterVec,
    /// Messages that they tell of, by channel.
    pub(crate) gathered: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let histogram = |name: &str, help: &str| -> Result<HistogramVec, prometheus::Error> {
            let buckets = vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0,
            ];
            let histogram = HistogramVec::new(
                HistogramOpts::new(name, help).buckets(buckets),
                &["channel"],
            )?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let in_hand = IntGaugeVec::new(
            Opts::new(
                "yizhan_relay_messages_in_hand",
                "Messages claimed and not yet settled",
            ),
            &["channel"],
        )?;
        registry.register(Box::new(in_hand.clone()))?;
        Ok(Self {
            attempts: counters(
                "yizhan_relay_attempts_total",
                "Attempts by verdict",
                &["channel", "verdict"],
            )?,
            fallbacks: counters(
                "yizhan_relay_fallbacks_total",
                "Messages that took over from others",
                &["channel", "fallback", "cause"],
            )?,
            errcodes: counters(
                "yizhan_relay_errcodes_total",
                "Error codes of the platforms",
                &["channel", "errcode"],
            )?,
            unknown_errcodes: counter(
                "yizhan_relay_unknown_errcodes_total",
                "Error codes without a rule",
            )?,
            delivery_seconds: histogram(
                "yizhan_relay_delivery_seconds",
                "From enqueueing to acceptance",
            )?,
            request_seconds: histogram("yizhan_relay_request_seconds", "Duration of one attempt")?,
            in_hand,
            leases_lost: counter(
                "yizhan_relay_leases_lost_total",
                "Settlements that came after the lease was gone",
            )?,
            digests: counters(
                "yizhan_relay_digests_total",
                "Digests made of what waited for the end of a do-not-disturb",
                &["channel"],
            )?,
            gathered: counters(
                "yizhan_relay_digest_members_total",
                "Messages that digests tell of",
                &["channel"],
            )?,
            rescued: counter(
                "yizhan_relay_rescued_total",
                "Messages taken back from relays that did not return",
            )?,
            registry,
        })
    }

    /// All figures in the text form of Prometheus.
    pub(crate) fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
