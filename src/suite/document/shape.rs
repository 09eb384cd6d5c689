//! Values that may be written in more than one way: a word, a list or a mapping.
//!
//! Owns the choice between them. serde's untagged enums would do the same and forget what was wrong and where.

use std::fmt;
use std::marker::PhantomData;

use schemars::{Schema, SchemaGenerator};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use crate::plan::syntax::Invalid;
use crate::suite::yaml::with_hint;

/// A type with a short and a long form.
pub(in crate::suite) trait Shaped: Sized {
    /// All forms, after the word "expected".
    const EXPECTED: &'static str;
    /// Whether a list is one of the forms.
    const LIST: bool = false;
    /// Whether a mapping is one of the forms.
    const MAP: bool = false;
    /// What a list holds.
    type List: DeserializeOwned;
    /// What a mapping holds.
    type Map: DeserializeOwned;

    /// For editors.
    fn schema(generator: &mut SchemaGenerator) -> Schema;

    fn from_text(_text: &str) -> Result<Self, Invalid> {
        Err(Invalid::new(format!("expected {}", Self::EXPECTED)))
    }

    fn from_list(_list: Self::List) -> Result<Self, Invalid> {
        Err(Invalid::new(format!("expected {}", Self::EXPECTED)))
    }

    fn from_map(_map: Self::Map) -> Result<Self, Invalid> {
        Err(Invalid::new(format!("expected {}", Self::EXPECTED)))
    }

    /// What `key:` with nothing behind it means, where it means something.
    fn nothing() -> Option<Self> {
        None
    }
}

/// For types without a list or a mapping.
pub(in crate::suite) type Nothing = IgnoredAny;

/// Reads any of the forms.
pub(in crate::suite) fn any_form<'de, T: Shaped, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    // Text as written, whatever else it could be: 1.10 is a version as often as a number.
    deserializer.deserialize_str(Forms(PhantomData))
}

/// An [`Invalid`] as an error of serde, hint and all.
pub(in crate::suite) fn refused<E: Error>(invalid: Invalid) -> E {
    let (problem, hint) = invalid.into_parts();
    E::custom(with_hint(&problem, hint.as_deref()))
}

struct Forms<T>(PhantomData<T>);

impl<'de, T: Shaped> Visitor<'de> for Forms<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        T::nothing().ok_or_else(|| E::invalid_type(Unexpected::Unit, &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(refused)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
        if !T::LIST {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        T::from_list(serde::Deserialize::deserialize(SeqAccessDeserializer::new(items))?).map_err(refused)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        if !T::MAP {
            return Err(A::Error::invalid_type(Unexpected::Map, &self));
        }
        T::from_map(serde::Deserialize::deserialize(MapAccessDeserializer::new(map))?).map_err(refused)
    }
}

/// Makes serde and schemars read a [`Shaped`] type.
macro_rules! shaped {
    ($($type:ident),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::suite::document::shape::any_form(deserializer)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <Self as $crate::suite::document::shape::Shaped>::schema(generator)
            }
        }
    )*};
}
pub(in crate::suite) use shaped;
