use std::process::ExitCode;
#[derive(clap::Args)]
pub struct DemoArgs {}
pub async fn run(_args: DemoArgs) -> Result<ExitCode, String> {
    Ok(ExitCode::SUCCESS)
}
