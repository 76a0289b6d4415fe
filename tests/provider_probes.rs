//! A provider is probed without a caller: with a sentence to hear, to say, to answer.

use offhook_actors::probe;
use offhook_core::FailureClass;
use offhook_testkit::fakes::{FakeLlm, FakeStt, FakeTts};

#[tokio::test(start_paused = true)]
async fn each_stage_is_used_once_and_timed() {
    assert_eq!(probe::transcribe(&FakeStt::default()).await.unwrap().first, None);
    assert!(probe::speak(&FakeTts::default()).await.unwrap().first.is_some());
    assert!(probe::ask(&FakeLlm::lines(&[("", "Yes.")])).await.unwrap().first.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_takes_everything_and_says_nothing_is_not_well() {
    let voice = FakeTts::default();
    voice.fall_silent(true);
    let error = probe::speak(&voice).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Timeout);
    assert!(error.detail.contains("no sound within 12 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_says_so() {
    let transcriber = FakeStt::default();
    transcriber.refuse(1);
    let error = probe::transcribe(&transcriber).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Unavailable);
    assert!(probe::transcribe(&transcriber).await.is_ok());
}
