use serde_json::{Map, Value};

/// What a message is about that only shows that messages arrive, and the name of its mark in the
/// payload. No placeholder can have this name.
pub const TEST_SEND: &str = "test-send";

/// Marks a payload as that of a test: whoever gets it reads that it is one, and it goes out although
/// its route is off, and whatever its recipient has muted.
pub fn mark_as_test(payload: &mut Map<String, Value>) {
    payload.insert(TEST_SEND.to_owned(), Value::Bool(true));
}

/// Whether a payload is that of a test.
pub fn is_test(payload: &Map<String, Value>) -> bool {
    payload.get(TEST_SEND) == Some(&Value::Bool(true))
}
