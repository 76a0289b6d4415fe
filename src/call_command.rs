use std::process::ExitCode;
#[derive(clap::Args)]
pub struct CallArgs {}
pub async fn run(_args: CallArgs) -> Result<ExitCode, String> {
    Ok(ExitCode::SUCCESS)
}
