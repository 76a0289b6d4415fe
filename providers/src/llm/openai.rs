use serde_json::Value;

use super::{Provider, Llm};
use crate::{Access, BuildError, Net};

pub const PROVIDER: Provider = Provider { name: "openai", key_variable: "", build };

fn build(_options: &Value, _access: &Access, _net: &Net) -> Result<Box<dyn Llm>, BuildError> {
    unimplemented!()
}
