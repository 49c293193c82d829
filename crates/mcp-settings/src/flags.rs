//! The flags of a server that is configured by these settings.

use std::{env, path::PathBuf};

use crate::{Key, Settings, SettingsError, Sources};

/// What a server's command line may set: `#[command(flatten)]` them into its own.
#[derive(Clone, Debug, clap::Args)]
pub struct Flags {
    /// The env file; without it, the default one if it is there.
    #[arg(long, value_name = "FILE")]
    env: Option<PathBuf>,
    /// Show every setting, with where it comes from, and end.
    #[arg(long)]
    pub print_config: bool,
    /// Name or address to listen on; localhost is 127.0.0.1 and ::1.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 takes a free one.
    #[arg(long)]
    port: Option<u16>,
    /// The URL that clients use.
    #[arg(long, value_name = "URL")]
    mcp_server_url: Option<String>,
    /// Where Keycloak is, without the realm.
    #[arg(long, value_name = "URL")]
    keycloak_url: Option<String>,
    /// The realm whose tokens are accepted.
    #[arg(long)]
    realm: Option<String>,
    /// The issuer, where it is not Keycloak's.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// What tokens must name as their audience, if not the URL that clients use.
    #[arg(long)]
    audience: Option<String>,
}

impl Flags {
    /// Flags beat the process's environment, that beats the env file (`default_file` where none is named), and that the
    /// defaults.
    ///
    /// # Errors
    /// When a setting cannot be what it is, wherever it stands.
    pub fn load(&self, default_file: &str) -> Result<Settings, SettingsError> {
        Sources::new(default_file)
            .file(self.env.as_ref())
            .flag("--host", Key::Host, self.host.as_ref())
            .flag("--port", Key::Port, self.port)
            .flag("--mcp-server-url", Key::McpServerUrl, self.mcp_server_url.as_ref())
            .flag("--keycloak-url", Key::KeycloakUrl, self.keycloak_url.as_ref())
            .flag("--realm", Key::KeycloakRealm, self.realm.as_ref())
            .flag("--issuer", Key::JwtIssuer, self.issuer.as_ref())
            .flag("--audience", Key::JwtAudience, self.audience.as_ref())
            .environment(env::vars_os())
            .load()
    }
}
