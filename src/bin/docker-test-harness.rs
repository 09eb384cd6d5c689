//! The `docker-test-harness` command, to be put into a test container: the place that ends its process.

use std::process::ExitCode;

fn main() -> ExitCode {
    docker_test::cli::harness::main(&std::env::args_os().collect::<Vec<_>>()).into()
}
