use std::process::ExitCode;
pub async fn run(_args: &crate::cli::SettingsArgs) -> Result<ExitCode, String> {
    Ok(ExitCode::SUCCESS)
}
