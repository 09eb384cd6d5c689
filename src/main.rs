//! The `docker-test` command: the one place that ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    docker_test::cli::main(&std::env::args_os().collect::<Vec<_>>()).into()
}
