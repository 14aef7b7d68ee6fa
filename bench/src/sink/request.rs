//! One HTTP/1.1 request, read from the beginning of what has arrived.

/// What stands before the number of a message in its body: the customer's name in the first field
/// of the card.
const NUMBER_PREFIX: &[u8] = "\"thing1\":{\"value\":\"客户".as_bytes();

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// An access token.
    Token,
    /// A message to be delivered; its number, if it is one of the bench's.
    Message(Option<usize>),
}

/// How much of a request has arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// All of it, in so many bytes.
    Complete(Request, usize),
    /// Not enough yet.
    Incomplete,
    /// This is no request, or none of the two kinds that are known here.
    Unknown,
}

/// Reads the request at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Reading {
    let Some(head_end) = find(bytes, b"\r\n\r\n") else {
        return Reading::Incomplete;
    };
    let (head, rest) = bytes.split_at(head_end);
    let body = &rest[4..];
    let Some(body_length) = content_length(head) else {
        return Reading::Unknown;
    };
    if body.len() < body_length {
        return Reading::Incomplete;
    }
    let request = if head.starts_with(b"POST /cgi-bin/message/subscribe/send") {
        Request::Message(number(&body[..body_length]))
    } else if head.starts_with(b"POST /cgi-bin/stable_token") {
        Request::Token
    } else {
        return Reading::Unknown;
    };
    Reading::Complete(request, head_end + 4 + body_length)
}

/// Zero where the head does not say; none where it says something else than a number.
fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head.split(|byte| *byte == b'\n').find(|line| {
        line.get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    });
    match line {
        None => Some(0),
        Some(line) => std::str::from_utf8(&line[NAME.len()..])
            .ok()?
            .trim()
            .parse()
            .ok(),
    }
}

fn number(body: &[u8]) -> Option<usize> {
    let at = find(body, NUMBER_PREFIX)? + NUMBER_PREFIX.len();
    let digits = body[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let text = &body[at..at + digits.count()];
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(path: &str, body: &str) -> Vec<u8> {
        format!(
            "POST {path} HTTP/1.1\r\nhost: sink\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    #[test]
    fn a_message_is_known_by_its_number() {
        let path = "/cgi-bin/message/subscribe/send?access_token=t";
        for (body, number) in [
            (r#"{"data":{"thing1":{"value":"客户42"}}}"#, Some(42)),
            (r#"{"data":{"thing1":{"value":"王女士"}}}"#, None),
            (r#"{"data":{"thing1":{"value":"客户"}}}"#, None),
            ("", None),
        ] {
            let bytes = post(path, body);
            let complete = Reading::Complete(Request::Message(number), bytes.len());
            assert_eq!(read(&bytes), complete, "{body}");
        }
    }

    #[test]
    fn a_request_is_read_once_all_of_it_is_there() {
        let mut bytes = post("/cgi-bin/stable_token", "{}");
        let length = bytes.len();
        for arrived in 0..length {
            assert_eq!(read(&bytes[..arrived]), Reading::Incomplete);
        }
        bytes.extend_from_slice(b"POST /the/next");
        assert_eq!(read(&bytes), Reading::Complete(Request::Token, length));
    }

    #[test]
    fn what_is_no_request_of_a_relay_is_unknown() {
        for bytes in [
            post("/elsewhere", ""),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"POST /cgi-bin/stable_token HTTP/1.1\r\ncontent-length: many\r\n\r\n".to_vec(),
        ] {
            assert_eq!(read(&bytes), Reading::Unknown);
        }
    }
}
