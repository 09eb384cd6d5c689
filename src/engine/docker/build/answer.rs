//! Reads the answer of the build call: JSON messages, one a line, cut anywhere by the network.
//!
//! Owns the framing and its bound, and the shape of a message. Does not know what a message means for the build.

use serde::Deserialize;
use serde_json::Value;

use super::BuildError;

/// The longest message that is accepted, in bytes. BuildKit clips a step's log at 2 MiB, and base64 adds a third.
const LONGEST: usize = 16 * 1024 * 1024;

/// One message of the builder.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    /// Text of the classic builder and of Podman's.
    pub stream: Option<String>,
    /// What happens to a layer of a base image.
    pub status: Option<String>,
    /// The layer, or the kind of `aux`.
    pub id: Option<String>,
    #[serde(rename = "progressDetail")]
    pub progress: Option<Progress>,
    pub error: Option<String>,
    #[serde(rename = "errorDetail")]
    pub detail: Option<ErrorDetail>,
    /// Depends on `id`; left unread until that is known.
    pub aux: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Progress {
    pub current: Option<i64>,
    pub total: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorDetail {
    pub code: Option<i64>,
    pub message: Option<String>,
}

/// Collects bytes until a line is whole.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes and hands every message that is whole now to `each`.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Message) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if self.rest.is_empty() {
                parse(line, each)?;
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                parse(&whole, each)?;
            }
        }
        if self.rest.len() + bytes.len() > LONGEST {
            return Err(BuildError::Malformed(format!("a message is longer than {LONGEST} bytes")));
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    /// The answer is over: a last message may lack its line end.
    pub(super) fn finish(
        self,
        each: &mut impl FnMut(Message) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        parse(&self.rest, each)
    }
}

fn parse(line: &[u8], each: &mut impl FnMut(Message) -> Result<(), BuildError>) -> Result<(), BuildError> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(());
    }
    // The classic builder writes several objects into one line now and then.
    for message in serde_json::Deserializer::from_slice(line).into_iter::<Message>() {
        each(message.map_err(|error| BuildError::Malformed(error.to_string()))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn streams(chunks: &[&[u8]]) -> Result<Vec<String>, BuildError> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        let mut each = |message: Message| {
            seen.extend(message.stream);
            Ok(())
        };
        for chunk in chunks {
            lines.push(chunk, &mut each)?;
        }
        lines.finish(&mut each)?;
        Ok(seen)
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            texts in proptest::collection::vec("\\PC{0,12}", 0..6),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            let mut bytes = Vec::new();
            for text in &texts {
                bytes.extend(serde_json::json!({"stream": text}).to_string().into_bytes());
                bytes.extend(b"\r\n");
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(streams(&chunks).unwrap(), texts);
        }

        #[test]
        fn no_answer_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = streams(&[&bytes]);
        }
    }

    #[test]
    fn several_objects_in_one_line_and_a_last_line_without_its_end_are_read() {
        let seen = streams(&[br#"{"stream":"a"}{"stream":"b"}"#, b"\n", br#"{"stream":"c"}"#]).unwrap();
        assert_eq!(seen, ["a", "b", "c"]);
    }

    #[test]
    fn a_message_without_end_is_refused_and_not_collected() {
        let chunk = vec![b' '; 1024 * 1024];
        let mut lines = Lines::default();
        let mut each = |_| Ok(());
        let refused = (0..20).find_map(|_| lines.push(&chunk, &mut each).err());
        assert!(matches!(refused, Some(BuildError::Malformed(_))));
        assert!(lines.rest.len() <= LONGEST);
    }

    #[test]
    fn an_answer_that_breaks_off_in_a_message_is_an_error() {
        assert!(matches!(streams(&[br#"{"stream":"a"#]), Err(BuildError::Malformed(_))));
    }
}
