//! From plan to test image: the Dockerfile.test text, the minimal context, the built image.
//!
//! Owns what is sent to the builder and the key that tells an unchanged test image. Runs no tests.

pub mod application;
pub mod build;
mod call;
pub mod context;
pub mod key;
pub mod logins;
pub mod sources;
pub mod template;
