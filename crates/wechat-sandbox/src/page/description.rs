//! The little HTML that a textcard's description may hold.
//!
//! `<div class="gray|normal|highlight">…</div>` and `<br>`; everything else is text.

use serde::Serialize;

/// A line and how it stands out.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    text: String,
    tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Tone {
    Normal,
    Gray,
    Highlight,
}

impl Line {
    pub(crate) const fn plain(text: String) -> Self {
        Self {
            text,
            tone: Tone::Normal,
        }
    }
}

/// The lines of a description; those without any text are left out.
pub(crate) fn lines(description: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::plain(String::new());
    let mut rest = description;
    while let Some(next) = rest.chars().next() {
        let (taken, tone) = if next == '\n' {
            (1, Some(line.tone))
        } else {
            tag(rest).map_or((next.len_utf8(), None), |(length, tone)| {
                (length, Some(tone.unwrap_or(line.tone)))
            })
        };
        match tone {
            Some(tone) => {
                let text = String::new();
                lines.push(std::mem::replace(&mut line, Line { text, tone }));
            }
            None => line.text.push(next),
        }
        rest = &rest[taken..];
    }
    lines.push(line);
    lines.retain(|line| !line.text.trim().is_empty());
    lines
}

/// The tag at the beginning of a text: its length, and the tone from there on, unless it leaves it
/// as it is.
fn tag(text: &str) -> Option<(usize, Option<Tone>)> {
    let inner = text.strip_prefix('<')?;
    let (inner, _) = inner.split_once('>')?;
    let length = inner.len() + 2;
    let tone = match inner.trim().trim_end_matches('/').trim_end() {
        "br" => None,
        r#"div class="gray""# => Some(Tone::Gray),
        r#"div class="highlight""# => Some(Tone::Highlight),
        "div" | "/div" | r#"div class="normal""# => Some(Tone::Normal),
        _ => return None,
    };
    Some((length, tone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divs_and_breaks_make_lines_and_all_else_is_text() {
        let line = |text: &str, tone| Line {
            text: text.to_owned(),
            tone,
        };
        for (description, expected) in [
            ("会员编号：M001", vec![line("会员编号：M001", Tone::Normal)]),
            (
                "<div class=\"gray\">9月26日</div> <div class=\"normal\">张三<br>女</div>\
                 <div class=\"highlight\">请跟进</div>",
                vec![
                    line("9月26日", Tone::Gray),
                    line("张三", Tone::Normal),
                    line("女", Tone::Normal),
                    line("请跟进", Tone::Highlight),
                ],
            ),
            (
                "a\n<br/>b",
                vec![line("a", Tone::Normal), line("b", Tone::Normal)],
            ),
            (
                "<script>alert(1)</script> 1 < 2",
                vec![line("<script>alert(1)</script> 1 < 2", Tone::Normal)],
            ),
            ("<div class=\"gray\">", vec![]),
        ] {
            assert_eq!(lines(description), expected, "{description}");
        }
    }
}
