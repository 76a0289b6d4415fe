//! Server-sent events (WHATWG HTML, section 9.2), as far as language models use them.

/// Longest event that is taken, in bytes: a whole tool call with a long document in it arrives in
/// one event from some servers.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// An event: its type where one was given, and its data, lines joined by `\n`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    pub event: String,
    pub data: String,
}

/// An event grew beyond [`EVENT_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event longer than {EVENT_BYTES_MAX} bytes")]
pub(crate) struct EventTooLong;

/// Cuts a body into events, however its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct SseDecoder {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it ends no second line.
    after_return: bool,
    event: String,
    data: Option<String>,
}

impl SseDecoder {
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, EventTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => self.line.push(byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > EVENT_BYTES_MAX {
                return Err(EventTooLong);
            }
        }
        Ok(events)
    }

    /// An event that the end of the body left without its empty line: some servers forget it.
    pub fn finish(&mut self) -> Option<SseEvent> {
        self.end_line().or_else(|| self.end_event())
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.end_event();
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_start_matches('\u{feff}');
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => self.event = value.to_owned(),
            // A comment (no field name), `id`, `retry`, or a field that does not exist.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        self.data.take().map(|data| SseEvent { event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(parts: &[&[u8]]) -> Vec<SseEvent> {
        let mut decoder = SseDecoder::default();
        let mut events: Vec<_> =
            parts.iter().flat_map(|part| decoder.push(part).unwrap()).collect();
        events.extend(decoder.finish());
        events
    }

    fn data(data: &str) -> SseEvent {
        SseEvent { event: String::new(), data: data.into() }
    }

    const BODY: &str = "\u{feff}: keep-alive\n\ndata: {\"a\":\"é\"}\r\n\r\ndata:b\ndata: c\nid: 7\n\n\
                        event: error\rdata: d\r\rretry: 5\n\ndata: last";

    #[test]
    fn fields_comments_and_every_line_ending_are_read() {
        let error = SseEvent { event: "error".into(), data: "d".into() };
        let expected = [data(r#"{"a":"é"}"#), data("b\nc"), error, data("last")];
        assert_eq!(decode(&[BODY.as_bytes()]), expected);
    }

    #[test]
    fn it_does_not_matter_where_the_network_cuts_the_body() {
        let whole = decode(&[BODY.as_bytes()]);
        for at in 0..=BODY.len() {
            let (left, right) = BODY.as_bytes().split_at(at);
            assert_eq!(decode(&[left, right]), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = BODY.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes), whole);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut decoder = SseDecoder::default();
        let mut refused = false;
        for _ in 0..=EVENT_BYTES_MAX / 1_000 {
            refused |= decoder.push(format!("data: {}\n", "x".repeat(1_000)).as_bytes()).is_err();
        }
        assert!(refused);
        assert_eq!(SseDecoder::default().push(&vec![b'x'; EVENT_BYTES_MAX + 1]), Err(EventTooLong));
    }
}
