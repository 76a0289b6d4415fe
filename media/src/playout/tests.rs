mod properties;

use super::*;

const FORMAT: AudioFormat = AudioFormat::mulaw();
const SILENCE: u8 = 0xFF;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Audio of a length, in which every sample has this value.
fn audio(value: u8, ms: u64) -> Bytes {
    Bytes::from(vec![value; ms as usize * 8])
}

fn playout(hearing: Hearing) -> Playout {
    Playout::new(FORMAT, PlayoutOptions { hearing, ..PlayoutOptions::default() })
}

/// The actions in short: runs of equal frames as `value x count`, marks and clears by name.
fn script(actions: &[PlayoutAction]) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for action in actions {
        let word = match action {
            PlayoutAction::Send(frame) => {
                assert_eq!(frame.len(), 160, "a frame that is not whole");
                frame[0].to_string()
            }
            PlayoutAction::Mark(name) => name.clone(),
            PlayoutAction::Clear => "clear".to_owned(),
        };
        match words.last_mut() {
            Some((last, count)) if *last == word => *count += 1,
            Some(_) | None => words.push((word, 1)),
        }
    }
    let words = words.into_iter().map(|(word, count)| match count {
        1 => word,
        count => format!("{word}x{count}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn speech_is_sent_ahead_by_the_lead_and_then_as_it_is_heard() {
    let mut playout = playout(Hearing::Clock);
    assert_eq!(playout.next_due(ms(0)), None);
    assert!(playout.queue(1, audio(1, 2_000)));
    assert_eq!(playout.next_due(ms(5)), Some(ms(5)));
    assert_eq!(script(&playout.poll(ms(5))), "1x30");
    assert_eq!(playout.next_due(ms(5)), Some(ms(65)));
    assert_eq!(script(&playout.poll(ms(24))), "");
    assert_eq!(script(&playout.poll(ms(65))), "1x3");
    assert_eq!(script(&playout.poll(ms(165))), "1x5");
    assert_eq!(playout.heard_samples(ms(165), 1), 160 * 8);
}

#[test]
fn only_whole_frames_are_sent_and_the_last_is_filled_with_silence() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 30));
    assert_eq!(script(&playout.poll(ms(0))), "1");
    playout.queue(1, audio(1, 1));
    assert_eq!(script(&playout.poll(ms(0))), "");
    playout.finish(1);
    let last = playout.poll(ms(0));
    let PlayoutAction::Send(frame) = &last[0] else { panic!("{last:?}") };
    assert_eq!(frame[..88], [1; 88]);
    assert_eq!(frame[88..], [SILENCE; 72]);

    // The silence is no part of the speech.
    playout.poll(ms(100));
    assert_eq!(playout.heard_samples(ms(100), 1), 31 * 8);
    assert!(playout.take_notices().contains(&Notice::Heard { speech: 1, at: ms(31) }));
}

#[test]
fn a_speech_is_told_to_begin_and_to_be_heard_when_it_is() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 100));
    playout.queue(2, audio(2, 100));
    playout.finish(1);
    playout.finish(2);
    let mut now = ms(1_000);
    assert_eq!(script(&playout.poll(now)), "1x5 2x5");
    let mut notices = playout.take_notices();
    while let Some(due) = playout.next_due(now) {
        now = due;
        playout.poll(now);
        notices.extend(playout.take_notices());
    }
    assert_eq!(now, ms(1_200));
    let began = |speech, at| Notice::Began { speech, at: ms(at) };
    let heard = |speech, at| Notice::Heard { speech, at: ms(at) };
    assert_eq!(notices, [began(1, 1_000), heard(1, 1_100), began(2, 1_100), heard(2, 1_200)]);
}

#[test]
fn speeches_are_played_in_the_order_they_were_first_named_in() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 40));
    playout.queue(2, audio(2, 40));
    playout.queue(1, audio(3, 40));
    assert_eq!(script(&playout.poll(ms(0))), "1x2 3x2");
    playout.finish(1);
    assert_eq!(script(&playout.poll(ms(0))), "2x2");
}

#[test]
fn a_speech_without_audio_is_heard_at_the_next_poll() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 1_000));
    playout.poll(ms(0));
    playout.take_notices();
    playout.finish(2);
    assert_eq!(playout.next_due(ms(10)), Some(ms(10)));
    playout.poll(ms(10));
    assert_eq!(playout.take_notices(), [Notice::Heard { speech: 2, at: ms(10) }]);
    assert!(!playout.queue(2, audio(2, 20)));
}

#[test]
fn a_speech_finished_after_it_was_heard_is_told_at_once() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 20));
    playout.poll(ms(0));
    playout.poll(ms(500));
    playout.take_notices();
    playout.finish(1);
    assert_eq!(playout.next_due(ms(500)), Some(ms(500)));
    playout.poll(ms(500));
    assert_eq!(playout.take_notices(), [Notice::Heard { speech: 1, at: ms(500) }]);
    assert_eq!(playout.heard_samples(ms(900), 1), 160);
}

#[test]
fn a_voice_too_slow_leaves_a_gap_that_is_told_once() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 40));
    playout.poll(ms(0));
    assert_eq!(playout.next_due(ms(0)), Some(ms(40)));
    playout.take_notices();
    playout.poll(ms(40));
    assert_eq!(playout.next_due(ms(40)), None);
    playout.poll(ms(300));
    playout.queue(1, audio(2, 20));
    playout.poll(ms(310));
    playout.finish(1);
    playout.poll(ms(400));
    let underrun = Notice::Underrun { speech: 1, at: ms(40) };
    assert_eq!(playout.take_notices(), [underrun, Notice::Heard { speech: 1, at: ms(330) }]);
}

#[test]
fn a_transport_that_wakes_up_too_late_leaves_a_gap_as_well() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 1_000));
    playout.poll(ms(0));
    playout.take_notices();
    playout.poll(ms(650));
    assert_eq!(playout.take_notices(), [Notice::Underrun { speech: 1, at: ms(600) }]);
    assert_eq!(playout.heard_samples(ms(670), 1), 620 * 8);
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let mut playout = playout(Hearing::Clock);
    assert_eq!(playout.room(), Duration::from_secs(60));
    assert!(playout.queue(1, audio(1, 59_990)));
    assert_eq!(playout.room(), ms(10));
    assert!(!playout.queue(1, audio(1, 20)));
    assert!(playout.queue(1, audio(1, 10)));
    assert!(!playout.queue(2, audio(1, 1)));
    playout.poll(ms(0));
    assert_eq!(playout.room(), ms(600));
    playout.clear(ms(0), 1);
    assert_eq!(playout.room(), Duration::from_secs(60));
}

#[test]
fn a_cleared_speech_is_cut_where_it_was_heard() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 2_000));
    playout.poll(ms(0));
    let cleared = playout.clear(ms(250), 1);
    assert_eq!(
        cleared,
        Some(Cleared { heard_samples: 2_000, must_clear_leg: true, leg_was_lost: false })
    );
    assert!(!playout.queue(1, audio(1, 20)));
    playout.finish(1);
    assert_eq!(playout.next_due(ms(250)), Some(ms(250)));
    assert_eq!(script(&playout.poll(ms(251))), "clear");
    assert_eq!(playout.next_due(ms(251)), None);
    assert_eq!(playout.take_notices(), [Notice::Began { speech: 1, at: ms(0) }]);
    assert_eq!(playout.heard_samples(ms(9_000), 1), 2_000);
    assert_eq!(playout.clear(ms(9_000), 1), None);
}

#[test]
fn a_speech_cleared_before_it_came_is_refused() {
    let mut playout = playout(Hearing::Clock);
    assert_eq!(playout.clear(ms(0), 7), None);
    assert!(!playout.queue(7, audio(7, 20)));
    playout.finish(7);
    assert_eq!(script(&playout.poll(ms(0))), "");
    assert_eq!(playout.take_notices(), []);
}

#[test]
fn a_speech_heard_to_its_end_cannot_be_cleared() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 100));
    playout.finish(1);
    playout.poll(ms(0));
    assert_eq!(playout.clear(ms(100), 1), None);
    assert_eq!(script(&playout.poll(ms(100))), "");
    assert!(playout.take_notices().contains(&Notice::Heard { speech: 1, at: ms(100) }));
}

#[test]
fn clearing_what_only_waits_leaves_the_leg_alone() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 800));
    playout.finish(1);
    playout.queue(2, audio(2, 100));
    playout.poll(ms(0));
    let cleared = playout.clear(ms(10), 2);
    assert_eq!(
        cleared,
        Some(Cleared { heard_samples: 0, must_clear_leg: false, leg_was_lost: false })
    );
    assert_eq!(script(&playout.poll(ms(1_000))), "1x10");
}

#[test]
fn speeches_around_a_cleared_one_are_sent_again_where_the_leg_lost_them() {
    let mut playout = playout(Hearing::Clock);
    for speech in 1..=3 {
        playout.queue(speech, audio(speech as u8, 100));
        playout.finish(speech);
    }
    assert_eq!(script(&playout.poll(ms(0))), "1x5 2x5 3x5");
    let cleared = playout.clear(ms(50), 2);
    assert_eq!(
        cleared,
        Some(Cleared { heard_samples: 0, must_clear_leg: true, leg_was_lost: false })
    );
    // Half of the third frame was heard; the rest of the speech makes two and a half.
    assert_eq!(script(&playout.poll(ms(50))), "clear 1x3 3x5");
    playout.poll(ms(500));
    assert_eq!(playout.heard_samples(ms(500), 1), 800);
    assert_eq!(playout.heard_samples(ms(500), 2), 0);
    assert_eq!(playout.heard_samples(ms(500), 3), 800);
    let heard = playout.played(ms(300));
    assert_eq!(heard[..800], [1; 800]);
    assert_eq!(heard[800..880], [SILENCE; 80]);
    assert_eq!(heard[880..1_680], [3; 800]);
    assert_eq!(heard[1_680..], [SILENCE; 720]);
}

#[test]
fn what_a_leg_without_clearing_was_sent_may_sound_before_what_comes_next() {
    let options = PlayoutOptions { clears: false, ..PlayoutOptions::default() };
    let mut playout = Playout::new(FORMAT, options);
    playout.queue(1, audio(1, 2_000));
    playout.poll(ms(0));
    playout.poll(ms(300));
    assert_eq!(playout.clear(ms(300), 1).map(|it| it.heard_samples), Some(300 * 8));
    playout.queue(2, audio(2, 1_000));
    playout.finish(2);
    assert_eq!(script(&playout.poll(ms(300))), "clear 255x3 2x30");
    playout.poll(ms(900));
    playout.poll(ms(1_500));
    assert_eq!(playout.heard_samples(ms(1_560), 2), 600 * 8, "600 ms were under way");
    playout.take_notices();
    playout.poll(ms(2_000));
    assert_eq!(playout.take_notices(), [Notice::Heard { speech: 2, at: ms(1_960) }]);
}

#[test]
fn what_was_played_lies_at_its_time_and_what_was_cleared_is_not_in_it() {
    let mut playout = playout(Hearing::Clock);
    assert_eq!(&playout.played(ms(10))[..], &[SILENCE; 80]);
    playout.queue(1, audio(1, 1_000));
    playout.poll(ms(15));
    assert_eq!(&playout.played(ms(20))[..], &[[SILENCE; 40], [1; 40]].concat());
    playout.clear(ms(25), 1);
    assert_eq!(&playout.played(ms(40))[..], &[[1; 40].as_slice(), &[SILENCE; 120]].concat());
    assert!(playout.played(ms(40)).is_empty());
}

#[test]
fn with_marks_nothing_counts_as_heard_before_the_first_echo() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 2_000));
    assert_eq!(script(&playout.poll(ms(0))), "1 m1 1x13 m2 1x13 m3 1x3");
    assert_eq!(playout.heard_samples(ms(200), 1), 0);
    playout.mark_played(ms(220), "m1");
    assert_eq!(playout.heard_samples(ms(220), 1), 160);
    assert_eq!(playout.heard_samples(ms(320), 1), 160 + 800);
    assert_eq!(script(&playout.poll(ms(320))), "1x6");
    playout.mark_played(ms(480), "m2");
    assert_eq!(playout.heard_samples(ms(480), 1), 280 * 8);
}

#[test]
fn with_marks_the_clock_stops_before_an_outstanding_mark() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 500));
    playout.poll(ms(0));
    playout.mark_played(ms(20), "m1");
    assert_eq!(playout.heard_samples(ms(279), 1), 279 * 8);
    assert_eq!(playout.heard_samples(ms(500), 1), 280 * 8 - 1);
}

#[test]
fn an_echo_cannot_make_time_run_faster() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 500));
    playout.poll(ms(0));
    playout.mark_played(ms(1), "m1");
    playout.mark_played(ms(1), "m2");
    assert_eq!(playout.heard_samples(ms(1), 1), 8);
    assert_eq!(playout.heard_samples(ms(300), 1), 300 * 8);
}

#[test]
fn an_echo_after_a_clear_proves_nothing() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 1_000));
    playout.poll(ms(0));
    playout.mark_played(ms(50), "m1");
    let cleared = playout.clear(ms(100), 1);
    assert_eq!(
        cleared,
        Some(Cleared { heard_samples: 70 * 8, must_clear_leg: true, leg_was_lost: false })
    );
    playout.queue(2, audio(2, 100));
    playout.finish(2);
    assert_eq!(script(&playout.poll(ms(100))), "clear 2 m4 2x4 m5");
    playout.mark_played(ms(110), "m2");
    playout.mark_played(ms(110), "m3");
    playout.mark_played(ms(110), "nonsense");
    assert_eq!(playout.heard_samples(ms(150), 2), 0);
    playout.mark_played(ms(170), "m4");
    playout.mark_played(ms(250), "m5");
    playout.poll(ms(250));
    assert!(playout.take_notices().contains(&Notice::Heard { speech: 2, at: ms(250) }));
}

#[test]
fn a_speech_finished_late_is_marked_at_its_end() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 100));
    assert_eq!(script(&playout.poll(ms(0))), "1 m1 1x4");
    playout.finish(1);
    assert_eq!(script(&playout.poll(ms(1))), "m2");
    playout.mark_played(ms(40), "m1");
    playout.poll(ms(500));
    assert_eq!(playout.heard_samples(ms(500), 1), 799);
    playout.mark_played(ms(510), "m2");
    assert!(playout.take_notices().contains(&Notice::Heard { speech: 1, at: ms(510) }));
}

#[test]
fn a_later_echo_makes_up_for_a_lost_one() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 2_000));
    playout.poll(ms(0));
    playout.mark_played(ms(560), "m3");
    assert_eq!(playout.heard_samples(ms(560), 1), 540 * 8);
}

#[test]
fn a_leg_that_never_echoes_is_believed_to_play_in_real_time() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 2_000));
    playout.finish(1);
    let (mut now, mut sent) = (ms(0), 0);
    let mut notices = Vec::new();
    loop {
        let actions = playout.poll(now);
        sent += actions.iter().filter(|a| matches!(a, PlayoutAction::Send(_))).count();
        notices.extend(playout.take_notices());
        let Some(due) = playout.next_due(now) else { break };
        assert!(due > now, "a poll left something to do at once, at {now:?}");
        now = due;
    }
    assert_eq!(sent, 100);
    // A second of patience with the first mark, then real time.
    assert_eq!(now, ms(1_020 + 1_400));
    assert!(notices.contains(&Notice::Heard { speech: 1, at: now }));
}

#[test]
fn what_a_dead_leg_was_sent_is_not_taken_for_heard() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 2_000));
    playout.poll(ms(0));
    playout.trust(ms(20), ms(280));
    playout.poll(ms(1_000));
    assert_eq!(playout.heard_samples(ms(1_000), 1), 300 * 8);
    assert_eq!(playout.sounding(), Some((1, 900 * 8)));

    // The last sign of life came a little before: what was sent until then is played out.
    playout.lost(ms(1_000), ms(20));
    let cleared = playout.clear(ms(1_000), 1).unwrap();
    assert_eq!((cleared.heard_samples, cleared.leg_was_lost), (620 * 8, true));
}

#[test]
fn the_end_of_a_speech_is_told_once_the_leg_has_lived_to_play_it() {
    let mut playout = playout(Hearing::Clock);
    let say = |playout: &mut Playout, speech: u32, length: u64| {
        playout.queue(speech, audio(speech as u8, length));
        playout.finish(speech);
    };
    say(&mut playout, 1, 1_000);
    say(&mut playout, 2, 300);
    for at in (0..=1_300).step_by(20) {
        playout.trust(ms(at.min(380)), ms(1_000));
        playout.poll(ms(at));
    }
    let ended = |notices: Vec<Notice>| -> Vec<u32> {
        let heard = |notice| match notice {
            Notice::Heard { speech, .. } => Some(speech),
            Notice::Began { .. } | Notice::Underrun { .. } => None,
        };
        notices.into_iter().filter_map(heard).collect()
    };
    // 380 ms after the beginning 600 ms were sent ahead.
    assert_eq!(playout.heard_samples(ms(1_300), 1), 1_000 * 8);
    assert_eq!(ended(playout.take_notices()), [0; 0], "all that is known ends at 980 ms");

    playout.lost(ms(5_400), ms(380));
    assert_eq!(playout.clear(ms(5_400), 1).map(|cleared| cleared.heard_samples), Some(980 * 8));
    assert_eq!(playout.clear(ms(5_400), 2).map(|cleared| cleared.heard_samples), Some(0));

    say(&mut playout, 4, 1_000);
    for at in (6_000..=7_200).step_by(20) {
        playout.trust(ms(at.min(6_400)), ms(1_000));
        playout.poll(ms(at));
    }
    assert_eq!(ended(playout.take_notices()), [4]);
}

#[test]
fn a_carrier_plays_nothing_out_when_its_stream_is_lost() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 2_000));
    playout.poll(ms(0));
    playout.mark_played(ms(20), "m1");
    playout.lost(ms(100), ms(100));
    assert_eq!(playout.clear(ms(100), 1).map(|cleared| cleared.heard_samples), Some(100 * 8));
}

#[test]
fn nothing_more_is_sent_of_a_speech_whose_leg_is_gone() {
    let mut playout = playout(Hearing::Clock);
    playout.queue(1, audio(1, 1_000));
    playout.poll(ms(0));
    playout.lost(ms(100), ms(100));
    playout.queue(2, audio(2, 100));
    assert_eq!(script(&playout.poll(ms(5_000))), "clear");
    assert_eq!(playout.clear(ms(5_000), 1).map(|cleared| cleared.heard_samples), Some(600 * 8));
    assert_eq!(script(&playout.poll(ms(5_000))), "2x5");
}

#[test]
fn a_playout_that_begins_late_has_no_silence_before() {
    let mut playout = playout(Hearing::Clock);
    playout.begin_at(ms(60_000));
    assert_eq!(playout.played(ms(60_100)).len(), 800);
    playout.queue(1, audio(1, 100));
    assert_eq!(script(&playout.poll(ms(60_100))), "1x5");
    playout.poll(ms(60_150));
    assert_eq!(playout.heard_samples(ms(60_150), 1), 50 * 8);
}

#[test]
fn what_a_carrier_was_sent_while_it_was_dead_is_not_taken_for_heard() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 600));
    playout.finish(1);
    playout.queue(2, audio(2, 2_000));
    playout.finish(2);
    let mut at = 0;
    while at <= 6_000 {
        playout.trust(ms(at.min(400)), ms(1_000));
        playout.poll(ms(at));
        if at == 20 {
            playout.mark_played(ms(at), "m1");
        }
        if at == 280 {
            playout.mark_played(ms(at), "m2");
        }
        playout.played(ms(at));
        at += 20;
    }
    playout.lost(ms(6_000), ms(400));
    // 600 ms were ahead of the 380 that had been heard, and the last 200 of them may not have come.
    let heard = |speech| playout.heard_samples(ms(6_000), speech) / 8;
    assert_eq!((heard(1), heard(2)), (600, 180));
}

#[test]
fn what_a_carrier_had_and_did_not_play_is_lost_with_its_stream() {
    let mut playout = playout(Hearing::Marks);
    playout.queue(1, audio(1, 2_000));
    for at in (0..=400).step_by(20) {
        playout.trust(ms(at), ms(1_000));
        playout.poll(ms(at));
        match at {
            20 => playout.mark_played(ms(at), "m1"),
            280 => playout.mark_played(ms(at), "m2"),
            _ => {}
        }
    }
    playout.lost(ms(415), ms(400));
    assert_eq!(playout.heard_samples(ms(415), 1), 380 * 8, "no more than at the last sign of life");
}
