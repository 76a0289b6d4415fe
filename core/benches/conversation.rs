//! What the conversation decides, a few times a second in each call.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use offhook_core::{CallOptions, CallTime, Command, Conversation, Event, FirstMessageMode, TurnId};

const PARTIALS: [&str; 2] =
    ["I would like to move my appointment", "I would like to move my appointment to"];
const FINAL: &str = "I would like to move my appointment to Thursday at ten.";

fn partial(c: &mut Criterion) {
    let mut conversation = caller_speaks();
    let mut partials = PARTIALS.iter().cycle();
    c.bench_function("conversation: a partial transcript", |b| {
        b.iter(|| {
            partials.next().map(|partial| {
                let event = Event::Transcript { text: (*partial).into(), is_final: false };
                conversation.handle(black_box(CallTime::from_millis(1_500)), event)
            })
        });
    });
}

fn turn(c: &mut Criterion) {
    let paused = caller_paused();
    c.bench_function("conversation: a final transcript, its wait, the request", |b| {
        b.iter_batched_ref(|| paused.clone(), asks, BatchSize::SmallInput);
    });
}

fn token(c: &mut Criterion) {
    let mut thinks = caller_paused();
    let commands = asks(&mut thinks);
    assert!(commands.contains(&Command::Generate { turn: TurnId(1) }), "got {commands:?}");
    c.bench_function("conversation: a token of the reply", |b| {
        b.iter_batched_ref(
            || thinks.clone(),
            |conversation| {
                let event = Event::ReplyText { turn: TurnId(1), text: " Thursday".into() };
                conversation.handle(CallTime::from_millis(2_500), event)
            },
            BatchSize::SmallInput,
        );
    });
}

fn caller_speaks() -> Conversation {
    let mut conversation = Conversation::new(CallOptions {
        first_message_mode: FirstMessageMode::AssistantWaitsForUser,
        ..CallOptions::default()
    });
    let began = CallTime::from_millis(1_000);
    conversation.handle(CallTime::ZERO, Event::LegConnected);
    conversation.handle(began, Event::SpeechStarted { at: began });
    conversation
}

fn caller_paused() -> Conversation {
    let mut conversation = caller_speaks();
    let ended = CallTime::from_millis(1_600);
    conversation.handle(CallTime::from_millis(1_650), Event::SpeechStopped { at: ended });
    conversation
}

/// The final text comes, and the silence after it becomes long enough for an answer.
fn asks(conversation: &mut Conversation) -> Vec<Command> {
    let event = Event::Transcript { text: FINAL.into(), is_final: true };
    let mut commands = conversation.handle(CallTime::from_millis(1_700), event);
    let (due, _) = conversation.next_deadline().expect("a caller who paused is waited for");
    commands.extend(conversation.handle_timeout(due));
    commands
}

criterion_group!(benches, partial, turn, token);
criterion_main!(benches);
