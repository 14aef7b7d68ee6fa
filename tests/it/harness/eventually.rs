use std::time::{Duration, Instant};

/// How long something in another process or thread may take before the test calls it broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two questions.
const PAUSE: Duration = Duration::from_millis(2);

/// Asks again and again until `ask` answers true. Only for what another process or thread does by
/// itself; whatever the test can cause or await directly, it does.
pub async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asked_since = Instant::now();
    while !ask().await {
        assert!(
            asked_since.elapsed() < PATIENCE,
            "still not after {} s: {what}",
            PATIENCE.as_secs()
        );
        // Whoever is waited for needs the processor.
        tokio::time::sleep(PAUSE).await;
    }
}
