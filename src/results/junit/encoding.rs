//! Turns the bytes of an XML file into UTF-8, by its byte order mark or its declaration.
//!
//! Owns UTF-8, UTF-16 and the Latin-1 family (read as windows-1252, as browsers do). Any other encoding is refused by
//! name. Bytes that are not valid in UTF-8 are left for the reader to replace.

use std::io::{self, BufRead, Cursor, Read};

/// How much of a file is looked at to find its encoding.
const PREFIX: usize = 1024;

/// What the bytes above 0x7f mean in windows-1252, from 0x80 to 0x9f; 0 where nothing is assigned.
const WINDOWS_1252: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,
    0x017d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a,
    0x0153, 0, 0x017e, 0x0178,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin,
    Utf16 { big_endian: bool },
}

/// Why a file cannot be decoded.
#[derive(Debug)]
pub(super) enum EncodingError {
    Read(io::Error),
    Unknown(String),
}

/// The same document in UTF-8, without a byte order mark.
pub(super) fn utf8_reader<'r>(mut reader: impl BufRead + 'r) -> Result<Box<dyn BufRead + 'r>, EncodingError> {
    let mut prefix = Vec::with_capacity(PREFIX);
    reader.by_ref().take(PREFIX as u64).read_to_end(&mut prefix).map_err(EncodingError::Read)?;
    let (charset, mark) = detect(&prefix)?;
    let mut prefix = Cursor::new(prefix);
    prefix.set_position(mark);
    let whole = prefix.chain(reader);
    Ok(match charset {
        Charset::Utf8 => Box::new(whole),
        Charset::Latin | Charset::Utf16 { .. } => Box::new(Transcoder::new(whole, charset)),
    })
}

/// The first bytes of a file as UTF-8, for a look at its root element.
pub(super) fn utf8_prefix(first_bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let reader = utf8_reader(first_bytes).ok()?;
    // An odd number of bytes is no error here: the file goes on after them.
    reader.take(first_bytes.len() as u64 * 2).read_to_end(&mut decoded).ok()?;
    Some(decoded)
}

fn detect(prefix: &[u8]) -> Result<(Charset, u64), EncodingError> {
    match prefix {
        [0xef, 0xbb, 0xbf, ..] => return Ok((Charset::Utf8, 3)),
        [0xfe, 0xff, ..] => return Ok((Charset::Utf16 { big_endian: true }, 2)),
        [0xff, 0xfe, ..] => return Ok((Charset::Utf16 { big_endian: false }, 2)),
        [0, b'<', ..] => return Ok((Charset::Utf16 { big_endian: true }, 0)),
        [b'<', 0, ..] => return Ok((Charset::Utf16 { big_endian: false }, 0)),
        _ => {}
    }
    let Some(name) = declared(prefix) else { return Ok((Charset::Utf8, 0)) };
    match name.to_ascii_lowercase().as_str() {
        // A declaration that is readable as ASCII was not written in UTF-16, whatever it says.
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "utf-16" => Ok((Charset::Utf8, 0)),
        "iso-8859-1" | "latin1" | "latin-1" | "windows-1252" | "cp1252" | "iso-8859-15" => {
            Ok((Charset::Latin, 0))
        }
        _ => Err(EncodingError::Unknown(name)),
    }
}

/// The `encoding` of `<?xml … ?>`.
fn declared(prefix: &[u8]) -> Option<String> {
    let text = prefix.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = text.windows(2).position(|pair| pair == b"?>")?;
    let declaration = String::from_utf8_lossy(&text[..end]).into_owned();
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    let (name, _) = value[1..].split_once(quote)?;
    Some(name.trim().chars().take(40).collect())
}

/// Reads one encoding and hands out UTF-8, a small buffer at a time.
struct Transcoder<R> {
    reader: R,
    charset: Charset,
    pending_surrogate: Option<u16>,
    ready: Vec<u8>,
    position: usize,
}

impl<R: BufRead> Transcoder<R> {
    const fn new(reader: R, charset: Charset) -> Self {
        Self { reader, charset, pending_surrogate: None, ready: Vec::new(), position: 0 }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.position = 0;
        let mut raw = [0; 4096];
        let length = read_full(&mut self.reader, &mut raw)?;
        let raw = &raw[..length];
        let mut text = String::with_capacity(length * 2);
        match self.charset {
            Charset::Utf8 => {}
            Charset::Latin => text.extend(raw.iter().map(|byte| latin(*byte))),
            Charset::Utf16 { big_endian } => {
                let units = raw.chunks(2).map(|pair| match (pair, big_endian) {
                    ([high, low], true) | ([low, high], false) => u16::from_be_bytes([*high, *low]),
                    _ => 0xfffd,
                });
                let mut units: Vec<u16> = self.pending_surrogate.take().into_iter().chain(units).collect();
                if length == 4096 {
                    self.pending_surrogate = units.pop_if(|unit| (0xd800..0xdc00).contains(unit));
                }
                text.extend(
                    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)),
                );
            }
        }
        self.ready = text.into_bytes();
        Ok(())
    }
}

fn latin(byte: u8) -> char {
    let code = match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => u16::from(byte),
    };
    match char::from_u32(u32::from(code)) {
        Some('\0') | None => char::REPLACEMENT_CHARACTER,
        Some(letter) => letter,
    }
}

/// Fills `buffer` as far as the input goes, so that a UTF-16 unit is never split.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl<R: BufRead> Read for Transcoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Transcoder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.position >= self.ready.len() {
            self.refill()?;
        }
        Ok(&self.ready[self.position..])
    }

    fn consume(&mut self, amount: usize) {
        self.position = (self.position + amount).min(self.ready.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<String, EncodingError> {
        let mut text = String::new();
        utf8_reader(bytes)?.read_to_string(&mut text).map_err(EncodingError::Read)?;
        Ok(text)
    }

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let unit = |unit: u16| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn utf16_is_read_with_and_without_a_mark() {
        // Long enough that a surrogate pair falls on a buffer's end.
        let text = format!("<a>{}</a>", "😀".repeat(3000));
        for big_endian in [true, false] {
            assert_eq!(decode(&utf16(&text, big_endian)).unwrap(), text);
            assert_eq!(decode(&utf16(&format!("\u{feff}{text}"), big_endian)).unwrap(), text);
        }
    }

    #[test]
    fn a_declared_latin_file_is_read() {
        let bytes = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4\x80\x81</a>";
        assert!(decode(bytes).unwrap().ends_with("<a>ä€\u{fffd}</a>"));
    }

    #[test]
    fn a_mark_wins_over_the_declaration_and_is_taken_off() {
        let bytes = b"\xef\xbb\xbf<?xml encoding='latin1'?><a>\xc3\xa4</a>";
        assert!(decode(bytes).unwrap().ends_with("<a>ä</a>"));
    }

    #[test]
    fn an_encoding_that_is_not_known_is_refused_by_name() {
        let error = decode(b"<?xml version=\"1.0\" encoding=\"EBCDIC-CP-US\"?><a/>").unwrap_err();
        assert!(matches!(error, EncodingError::Unknown(name) if name == "EBCDIC-CP-US"));
    }
}
