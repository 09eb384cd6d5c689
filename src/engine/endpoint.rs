//! Where the engine is, and how it is found.
//!
//! Owns the order in which an engine is looked for (the Docker CLI's, then rootless and Podman sockets), the context
//! store, and the first contact. It neither reads flags nor speaks more of the engine's API than a ping.

mod address;
mod context;
mod discovery;
mod probe;

pub use address::{Address, AddressError, Endpoint, TlsMaterial};
pub(in crate::engine) use context::read_config;
pub use context::{ContextError, config_dir};
pub use discovery::{Candidate, Choice, ChosenBy, DiscoverError, Discovery, Origin, Target, discover};
pub use probe::{Attempt, AttemptError, ConnectError, Connected, connect};
