//! Sinks as a file names them: a kind, and a mapping with what it needs.
//!
//! Owns the table of kinds. What a mapping may say is each sink's own [`Settings`], beside the sink, so that a new sink is
//! one file and one row here. The other way in is [`super::from_environment`].

use std::path::Path;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::address::{Key, Url};
use super::metrics::UnifiedTags;
use super::{
    Notifier, datadog, dogstatsd, kuberhealthy, otlp, pagerduty, ping, prometheus, pushgateway, slack,
    webhook,
};

/// What a sink's mapping does not say itself.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Tags of the environment: those that the mapping sets go before them.
    pub tags: &'a UnifiedTags,
    /// Relative paths start from here.
    pub directory: &'a Path,
}

/// The mapping of a kind of sink.
pub(super) trait Settings: for<'de> Deserialize<'de> + JsonSchema {
    /// The sinks that it stands for, or what does not go together in it. Never shows a value.
    fn sinks(self, given: Given<'_>) -> Result<Vec<Box<dyn Notifier>>, String>;
}

macro_rules! kinds {
    ($($name:literal, $settings:ty, $alerted:literal;)*) => {
        /// Each kind, and whether alerts go to it.
        const KINDS: &[(&str, bool)] = &[$(($name, $alerted)),*];

        fn read<'de, D: Deserializer<'de>>(
            kind: &str,
            given: Given<'_>,
            from: D,
        ) -> Result<Vec<Box<dyn Notifier>>, D::Error> {
            match kind {
                $($name => <$settings>::deserialize(from)?.sinks(given).map_err(D::Error::custom),)*
                _ => Err(D::Error::custom(format!("there is no sink `{kind}`"))),
            }
        }

        fn schema_of(kind: &str, generator: &mut SchemaGenerator) -> Option<Schema> {
            match kind {
                $($name => Some(generator.subschema_for::<$settings>()),)*
                _ => None,
            }
        }
    };
}

kinds! {
    "datadog", datadog::Settings, false;
    "dogstatsd", dogstatsd::Settings, false;
    "otlp", otlp::Settings, false;
    "pagerduty", pagerduty::Settings, true;
    "slack", slack::Settings, true;
    "webhook", webhook::Settings, true;
    "ping", ping::Settings, false;
    "kuberhealthy", kuberhealthy::Settings, false;
    "prometheus", prometheus::Settings, false;
    "pushgateway", pushgateway::Settings, false;
}

/// The kinds.
pub fn names() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.iter().map(|(name, _)| *name)
}

/// The kinds that alerts go to.
pub fn alerted() -> impl Iterator<Item = &'static str> + Clone {
    KINDS.iter().filter(|(_, alerted)| *alerted).map(|(name, _)| *name)
}

/// The schema of a kind's mapping.
pub fn schema(kind: &str, generator: &mut SchemaGenerator) -> serde_json::Value {
    schema_of(kind, generator).map_or(serde_json::Value::Bool(true), Schema::to_value)
}

/// Reads the mapping of a kind of sink.
#[derive(Debug, Clone, Copy)]
pub struct OfKind<'a> {
    /// The kind.
    pub kind: &'a str,
    /// What the mapping does not say.
    pub given: Given<'a>,
}

impl<'de> serde::de::DeserializeSeed<'de> for OfKind<'_> {
    type Value = Vec<Box<dyn Notifier>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        read(self.kind, self.given, deserializer)
    }
}

/// Makes serde and schemars read a type that is checked when it is made.
macro_rules! checked {
    ($type:ty, $parse:expr, $name:literal, $description:literal) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$type, $crate::notify::address::InvalidAddress> = $parse;
                parse(&text).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }
    };
}
pub(super) use checked;

checked!(Key, Key::parse, "Key", "A key; `env:NAME` takes it from a variable.");
checked!(Url, Url::parse, "Url", "An address that begins with http:// or https://.");

/// Tags of all metrics of a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Tags(Vec<String>);

/// Tags of the mapping, before those of the environment.
pub(super) fn tags(
    tags: Option<Tags>,
    [env, service, version]: [Option<String>; 3],
    given: Given<'_>,
) -> UnifiedTags {
    UnifiedTags {
        env: env.or_else(|| given.tags.env.clone()),
        service: service.or_else(|| given.tags.service.clone()),
        version: version.or_else(|| given.tags.version.clone()),
        tags: tags.map_or_else(|| given.tags.tags.clone(), |tags| tags.0),
    }
}

/// The mapping of a sink that tags what it tells: what all of them have comes last. A flattened field would do the same,
/// and an error in it would lose its place.
macro_rules! tagged {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident {
        $($(#[$of_field:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        $visibility struct $name {
            $($(#[$of_field])* $field: $type,)*
            /// Tags of all metrics: team:shop. Those of `DD_TAGS` where absent.
            #[serde(default)]
            tags: Option<$crate::notify::configured::Tags>,
            /// The tag env. `DD_ENV` where absent.
            #[serde(default)]
            env: Option<String>,
            /// The tag service. `DD_SERVICE` where absent.
            #[serde(default)]
            service: Option<String>,
            /// The tag version. `DD_VERSION` where absent.
            #[serde(default)]
            version: Option<String>,
        }

        impl $name {
            /// Takes its tags out.
            fn unified_tags(
                &mut self,
                given: $crate::notify::configured::Given<'_>,
            ) -> $crate::notify::metrics::UnifiedTags {
                let named = [self.env.take(), self.service.take(), self.version.take()];
                $crate::notify::configured::tags(self.tags.take(), named, given)
            }
        }
    };
}
pub(super) use tagged;
