use std::time::Duration;

use offhook_core::FailureClass;
use offhook_media::AudioFormat;
use offhook_providers::stt::SttEvent;
use serde_json::{Value, json};

use crate::support::{Bench, next_firm, say, speak, text_of, user};

const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

fn transcriber() -> Value {
    json!({"provider": "deepgram", "model": "nova-3", "language": "en", "endpointing": 300})
}

fn voice() -> Value {
    json!({"provider": "11labs", "voiceId": "v1", "model": "eleven_flash_v2_5"})
}

fn model() -> Value {
    json!({"provider": "openai", "model": "gpt-4.1-mini"})
}

#[tokio::test]
async fn what_is_not_broken_passes_with_its_headers_and_keys() {
    let bench = Bench::behind_proxy(&["deepgram", "openai", "elevenlabs"]).await;
    let mut session = bench.stt(transcriber(), FORMAT).await;
    say(&session, "17 3", Duration::from_millis(600), FORMAT).await;
    loop {
        if let SttEvent::Final { text, .. } = next_firm(&mut session).await {
            assert_eq!(text, "17 3.");
            break;
        }
    }
    let mut session = bench.tts("elevenlabs", voice(), FORMAT).await;
    assert_eq!(speak(&mut session, FORMAT, &["17 3 1."]).await.text, "17 3 1");
    let reply = bench.ask("openai", model(), vec![user("17 3")], Vec::new()).await;
    assert_eq!(text_of(&reply), "17 3 1 2 3 4 5 6 7 8.");
}

#[tokio::test]
async fn a_provider_is_broken_on_the_way_and_its_error_is_what_the_runtime_sees() {
    let bench = Bench::behind_proxy(&["deepgram", "openai"]).await;
    let proxy = bench.proxy.as_ref().unwrap();
    let mut session = bench.stt(transcriber(), FORMAT).await;
    proxy.fault(&json!({"provider": "deepgram", "fault": "drop"})).unwrap();
    let lost = session.events.recv().await;
    assert!(matches!(lost, Some(Err(_)) | None), "{lost:?}");

    let limited = json!({"provider": "openai", "fault": "refuse", "seconds": 60, "status": 429,
        "retry_after": 7});
    proxy.fault(&limited).unwrap();
    let reply = bench.ask("openai", model(), vec![user("17 3")], Vec::new()).await;
    let class = reply[0].as_ref().unwrap_err().class;
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(class, FailureClass::RateLimited { retry_after });
}

#[tokio::test]
async fn a_reply_that_is_cut_off_on_the_way_has_no_end() {
    let bench = Bench::behind_proxy(&["openai"]).await;
    let proxy = bench.proxy.as_ref().unwrap();
    let cut = json!({"provider": "openai", "fault": "drop_after", "seconds": 60, "messages": 2});
    proxy.fault(&cut).unwrap();
    let reply = bench.ask("openai", model(), vec![user("17 3")], Vec::new()).await;
    assert!(reply.last().unwrap().is_err(), "{reply:?}");
}
