//! The comma-separated `key=value` lists of `--mount`, `--network`, `--gpus` and `--secret`.
//!
//! Owns quoting as Go's CSV reader does it: a field may be quoted as a whole, a quote inside is doubled. What keys
//! mean is the caller's.

use super::Invalid;

/// The fields of one record.
pub fn fields(text: &str) -> Result<Vec<String>, Invalid> {
    let unbalanced = || Invalid::new("a quote must enclose a whole field: \"key=a,b\"");
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            unquote(quoted).ok_or_else(unbalanced)?
        } else {
            let (field, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            if field.contains('"') {
                return Err(unbalanced());
            }
            (field.to_owned(), after)
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(unbalanced()),
        }
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_enclose_whole_fields() {
        let table: [(&str, &[&str]); 7] = [
            ("", &[""]),
            ("a", &["a"]),
            ("a=1,b=2", &["a=1", "b=2"]),
            ("a,,b", &["a", "", "b"]),
            ("\"device=0,1\",driver=nvidia", &["device=0,1", "driver=nvidia"]),
            ("\"say \"\"hi\"\"\"", &["say \"hi\""]),
            ("a,\"\"", &["a", ""]),
        ];
        for (text, expected) in table {
            assert_eq!(fields(text).unwrap(), expected, "{text:?}");
        }
        for text in ["a\"b", "\"a", "\"a\"b", "a=\"b,c\""] {
            assert!(fields(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn quoted_fields_come_back_as_they_were(words in proptest::collection::vec("[a-z,\"= ]{0,8}", 1..5)) {
            let text: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
            prop_assert_eq!(fields(&text.join(",")).unwrap(), words);
        }
    }
}
