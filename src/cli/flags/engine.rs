//! Which engine: Docker's own global flags.
//!
//! Owns their names. The order in which they, variables, contexts and sockets are tried is the engine module's.

use std::path::PathBuf;

use clap::Args;

/// How the engine is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineFlags {
    /// Engine to connect to: unix://, tcp:// or ssh:// (default: found as the docker command finds it)
    #[arg(short = 'H', long, value_name = "URL", conflicts_with = "context")]
    pub host: Option<String>,
    /// Docker context to use
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Directory of Docker's client configuration (default: `$DOCKER_CONFIG`, else ~/.docker)
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Use TLS; implied by --tlsverify
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub tls: Option<bool>,
    /// Use TLS and verify the engine's certificate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub tlsverify: Option<bool>,
    /// Trust only certificates signed by this authority (default: ca.pem in the configuration directory)
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// Client certificate (default: cert.pem in the configuration directory)
    #[arg(long, value_name = "FILE")]
    pub tlscert: Option<PathBuf>,
    /// Client key (default: key.pem in the configuration directory)
    #[arg(long, value_name = "FILE")]
    pub tlskey: Option<PathBuf>,
}
