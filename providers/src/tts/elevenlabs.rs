use serde_json::Value;

use super::{Provider, Tts};
use crate::{Access, BuildError, Net};

pub const PROVIDER: Provider = Provider { name: "11labs", key_variable: "", build };

fn build(_options: &Value, _access: &Access, _net: &Net) -> Result<Box<dyn Tts>, BuildError> {
    unimplemented!()
}
