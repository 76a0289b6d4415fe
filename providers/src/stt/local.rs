use serde_json::Value;

use super::{Provider, Stt};
use crate::{Access, BuildError, Net};

pub const PROVIDER: Provider = Provider { name: "local", key_variable: "", build };

fn build(_options: &Value, _access: &Access, _net: &Net) -> Result<Box<dyn Stt>, BuildError> {
    unimplemented!()
}
