//! Names of tool calls.

use std::collections::HashSet;

use offhook_core::{Message, ToolCall};
use uuid::Uuid;

/// The ids of a conversation's tool calls. Some servers number the calls of every reply from the
/// start, or give all of them one id.
pub(super) struct CallIds(HashSet<String>);

impl CallIds {
    pub fn of(messages: &[Message]) -> Self {
        let calls = messages.iter().flat_map(|message| match message {
            Message::ToolCalls { calls } => calls.as_slice(),
            Message::System { .. }
            | Message::User { .. }
            | Message::Assistant { .. }
            | Message::ToolResult { .. } => &[],
        });
        Self(calls.map(|call| call.id.clone()).collect())
    }

    /// The call, with an id of its own where another has the same.
    pub fn distinguish(&mut self, mut call: ToolCall) -> ToolCall {
        if self.0.contains(&call.id) {
            call.id = format!("call_{}", Uuid::new_v4().simple());
        }
        self.0.insert(call.id.clone());
        call
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_tool_call_of_a_conversation_has_an_id_of_its_own() {
        let call = |id: &str| ToolCall { id: id.into(), name: "book".into(), arguments: json!({}) };
        let mut ids = CallIds::of(&[Message::ToolCalls { calls: vec![call("call_0")] }]);
        let given = ["call_0", "call_1", "call_1"].map(|id| ids.distinguish(call(id)).id);
        assert_eq!(given[1], "call_1", "an id that nobody has stays");
        assert!(given[0] != "call_0" && given[2] != "call_1" && given[0] != given[2], "{given:?}");
    }
}
