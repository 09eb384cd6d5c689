//! A tree into serde types, with the place of whatever does not fit.
//!
//! Owns the wording: types say what they expect, this says what was found and where. Text is taken for numbers and
//! numbers for text where a type asks for one or the other, since `ports: [5432]` and `PORT: 5432` mean what they say.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::{Content, Fault, Key, Node, Place, Scalar, unspoken};
use crate::error::nearest;

/// Makes a `T` of a tree.
pub(in crate::suite) fn decode<'de, T: Deserialize<'de>>(node: &'de Node) -> Result<T, Fault> {
    decode_as(node, PhantomData::<T>, "")
}

/// Makes of a tree what `seed` reads. `within` is where the tree stands in the file: `probes.shop`.
pub(in crate::suite) fn decode_as<'de, S: DeserializeSeed<'de>>(
    node: &'de Node,
    seed: S,
    within: &str,
) -> Result<S::Value, Fault> {
    seed.deserialize(Value(node)).map_err(|error| {
        let path = error.path.iter().rev().fold(within.to_owned(), |path, step| match step {
            Step::Key(key) if path.is_empty() => key.clone(),
            Step::Key(key) => format!("{path}.{key}"),
            Step::Index(index) => format!("{path}[{index}]"),
        });
        let problem = match error.of_key {
            _ if path.is_empty() => error.problem,
            true => format!("{} in `{path}`", error.problem),
            false => format!("{path}: {}", error.problem),
        };
        Fault { place: error.place.unwrap_or(node.place), problem, hint: error.hint }
    })
}

enum Step {
    Key(String),
    Index(usize),
}

/// What a type says while it is read; the levels around it add where that was, innermost first.
pub(super) struct Error {
    problem: String,
    hint: Option<String>,
    place: Option<Place>,
    path: Vec<Step>,
    of_key: bool,
}

impl Error {
    fn at(mut self, place: Place) -> Self {
        self.place.get_or_insert(place);
        self
    }

    fn within(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The error of this value, unless a part of it had one. Values of secret variables are not said.
    fn of(mut self, node: &Node) -> Self {
        if self.place.is_none()
            && let Some(variable) = node.secret()
        {
            self.problem = unspoken(variable);
        }
        self.at(node.place)
    }
}

/// Separates problem and hint in the one text that serde hands through.
const HINT: char = '\u{1}';

/// The text of an error with a hint, for `Error::custom`.
pub(in crate::suite) fn with_hint(problem: &str, hint: Option<&str>) -> String {
    hint.map_or_else(|| problem.to_owned(), |hint| format!("{problem}{HINT}{hint}"))
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let (problem, hint) = match message.split_once(HINT) {
            Some((problem, hint)) => (problem.to_owned(), Some(hint.to_owned())),
            None => (message, None),
        };
        Self { problem, hint, place: None, path: Vec::new(), of_key: false }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("expected {expected}, found {}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        let hint = match nearest(field, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", known.join(", ")),
        };
        Self { hint: Some(hint), of_key: true, ..Self::custom(format!("unknown key `{field}`")) }
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        let hint = nearest(variant, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        Self { hint, ..Self::custom(format!("expected one of {}, found `{variant}`", known.join(", "))) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("`{field}` is missing"))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Error {}

const fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a truth value",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a mapping",
        _ => "text",
    }
}

struct Value<'de>(&'de Node);

impl<'de> Value<'de> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.0.content {
            Content::Scalar(scalar) => resolved(scalar, visitor),
            Content::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Content::Map(entries) => visitor.visit_map(Entries { entries, value: None }),
        }
        .map_err(|error| error.of(self.0))
    }
}

fn resolved<'de, V: Visitor<'de>>(scalar: &'de Scalar, visitor: V) -> Result<V::Value, Error> {
    let text = scalar.text.as_str();
    if scalar.is_null() {
        return visitor.visit_unit();
    }
    if !scalar.plain {
        return visitor.visit_borrowed_str(text);
    }
    match text {
        "true" | "True" | "TRUE" => return visitor.visit_bool(true),
        "false" | "False" | "FALSE" => return visitor.visit_bool(false),
        _ => {}
    }
    let is_numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    if let Some(number) = text.parse::<u64>().ok().filter(|_| is_numeric) {
        return visitor.visit_u64(number);
    }
    if let Some(number) = text.parse::<i64>().ok().filter(|_| is_numeric) {
        return visitor.visit_i64(number);
    }
    match text.parse::<f64>() {
        Ok(number) if is_numeric && number.is_finite() => visitor.visit_f64(number),
        _ => visitor.visit_borrowed_str(text),
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let place = self.0.place;
            // A number in quotes is one all the same where a variable was put in.
            let is_number = |scalar: &&Scalar| scalar.plain || !scalar.variables.is_empty();
            let number = self.0.scalar().filter(is_number).and_then(|s| s.text.parse::<$type>().ok());
            match number {
                Some(number) => visitor.$visit(number).map_err(|error: Error| error.at(place)),
                None => self.any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.any(visitor)
    }

    numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i64 visit_i64 i64;
        deserialize_f64 visit_f64 f64;
        deserialize_bool visit_bool bool;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.scalar().filter(|scalar| !scalar.is_null()) {
            Some(scalar) => visitor.visit_borrowed_str(&scalar.text).map_err(|error: Error| error.of(self.0)),
            None => self.any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// `needs:` with nothing behind it is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_seq(Items { items: &[], next: 0 }) } else { self.any(visitor) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() {
            visitor.visit_map(Entries { entries: &[], value: None })
        } else {
            self.any(visitor)
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let place = self.0.place;
        match &self.0.content {
            // A list would be taken for the fields in their order.
            Content::List(_) => {
                let error: Error = serde::de::Error::invalid_type(Unexpected::Seq, &visitor);
                Err(error.at(place))
            }
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.scalar().filter(|scalar| !scalar.is_null()) {
            Some(scalar) => {
                let name: StringDeserializer<Error> = scalar.text.clone().into_deserializer();
                visitor.visit_enum(name).map_err(|error| error.of(self.0))
            }
            None => self.any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        let value = seed.deserialize(Value(node));
        value.map(Some).map_err(|error| error.at(node.place).within(Step::Index(index)))
    }
}

struct Entries<'de> {
    entries: &'de [(Key, Node)],
    value: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((entry, rest)) = self.entries.split_first() else { return Ok(None) };
        self.entries = rest;
        self.value = Some(entry);
        let key: StringDeserializer<Error> = entry.0.text.clone().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.0.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, node)) = self.value.take() else {
            return Err(serde::de::Error::custom("a value was asked for before its key"));
        };
        // Nothing has no place of its own worth showing.
        let place = if node.is_null() { key.place } else { node.place };
        seed.deserialize(Value(node)).map_err(|mut error| {
            if node.is_null() {
                error.place = Some(place);
            }
            error.at(place).within(Step::Key(key.text.clone()))
        })
    }
}
