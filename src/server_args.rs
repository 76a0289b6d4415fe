//! Which server a command talks to.

use clap::Args;

use crate::{call_command, client::Client};

/// A running server.
#[derive(Args)]
pub struct ServerArgs {
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", global = true)]
    server: String,
    /// API key; for a server on this machine, by default the one in offhook-data/api-key
    #[arg(long, env = "OFFHOOK_API_KEY", hide_env_values = true, global = true)]
    key: Option<String>,
}

impl ServerArgs {
    /// The server's API, with the key that was given or lies about.
    pub fn client(&self) -> Result<Client, String> {
        let key = call_command::key(&self.server, self.key.as_deref())?;
        Client::new(&self.server, &key)
    }
}
