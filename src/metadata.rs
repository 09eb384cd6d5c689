//! What the author declared: Dockerfile ONTEST and ONBUILD, image labels, Dockerfile.test.
//!
//! Pure readers: text or label maps in, declarations out. They refuse what is malformed, naming file and line,
//! and do no I/O beyond reading their input.

pub mod dockerfile;
pub mod duration;
pub mod labels;
pub mod recipe;
