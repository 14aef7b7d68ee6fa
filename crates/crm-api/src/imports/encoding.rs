/// How a file that is not UTF-8 seems to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// What spreadsheet programs in China write unless told otherwise.
    Gb18030,
    /// What some of them call "Unicode text".
    Utf16,
    /// None that is known here.
    Unknown,
}

impl Encoding {
    /// What people call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gb18030 => "看起来是 GBK/GB18030",
            Self::Utf16 => "看起来是 UTF-16",
            Self::Unknown => "无法识别",
        }
    }

    /// That of bytes which are no UTF-8.
    pub(super) fn guess(bytes: &[u8]) -> Self {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            Self::Utf16
        } else if is_gb18030(bytes) {
            Self::Gb18030
        } else {
            Self::Unknown
        }
    }
}

/// Whether the bytes can be GB18030, of which GBK and GB2312 are parts: characters of one, two or
/// four bytes.
fn is_gb18030(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (0x00..=0x7f, after) => after,
            (0x81..=0xfe, [0x40..=0x7e | 0x80..=0xfe, after @ ..]) => after,
            (0x81..=0xfe, [0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, after @ ..]) => after,
            (_, _) => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        for (bytes, encoding) in [
            // 姓名
            (&b"\xd0\xd5\xc3\xfb,phone\n"[..], Encoding::Gb18030),
            // 㐀, four bytes
            (b"\x81\x39\xee\x39", Encoding::Gb18030),
            (b"\xff\xfe\xd3\x59\x0d\x54", Encoding::Utf16),
            (b"\xfe\xff\x59\xd3\x54\x0d", Encoding::Utf16),
            (b"abc\xff", Encoding::Unknown),
            (b"abc\xd0", Encoding::Unknown),
        ] {
            assert_eq!(Encoding::guess(bytes), encoding, "{bytes:x?}");
        }
    }
}
