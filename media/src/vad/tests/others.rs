//! Voices that are not the caller's.

use super::*;

/// Four people who talk at once without a pause, each other sentences at any time, so loud together
/// compared with the caller.
fn crowd(samples: usize, db: f32) -> Vec<i16> {
    let voice = sentences();
    let shares = [0.0f32, 0.27, 0.55, 0.81];
    let gain = 10f32.powf(db / 20.0) / (shares.len() as f32).sqrt();
    (0..samples)
        .map(|at| {
            let spoken = shares.map(|share| {
                let from = (share * voice.len() as f32) as usize;
                f32::from(voice[(at + from) % voice.len()])
            });
            (spoken.iter().sum::<f32>() * gain) as i16
        })
        .collect()
}

fn quieter(samples: &[i16], db: f32) -> Vec<i16> {
    let gain = 10f32.powf(db / 20.0);
    samples.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect()
}

/// Silence, the caller's sentences, and what is heard after them.
fn before(rest: Vec<i16>) -> Vec<i16> {
    [vec![0; RATE as usize], sentences(), vec![0; RATE as usize / 2], rest].concat()
}

#[test]
fn a_crowd_behind_the_caller_does_not_hide_where_they_end() {
    let silence = vec![0; 3 * RATE as usize];
    let call = [silence.clone(), sentences(), silence].concat();
    for db in [-25.0, -20.0, -15.0] {
        let found = edges(RATE, &through_mulaw(&mix(&call, &crowd(call.len(), db))));
        let VadEdge::Stopped { at } = found[found.len() - 1] else {
            panic!("at {db} dB it goes on: {found:?}");
        };
        let late = at.as_secs_f32() - (3.0 + EDGES[3]);
        assert!(late.abs() <= TOLERANCE_S, "at {db} dB: {late} s late, {found:?}");
    }
}

#[test]
fn the_agents_echo_is_no_speech_once_the_caller_was_heard() {
    let echo = quieter(&sentences(), -20.0);
    let alone = edges(RATE, &through_mulaw(&before(vec![0; RATE as usize])));
    assert_eq!(edges(RATE, &through_mulaw(&before(echo))), alone);
}

#[test]
fn a_caller_who_speaks_more_softly_than_before_is_heard() {
    let soft = [quieter(&sentences(), -6.0), vec![0; RATE as usize]].concat();
    let from = 1.0 + 3.34 + 0.5;
    let times = EDGES.map(|edge| edge + 1.0).into_iter().chain(EDGES.map(|edge| edge + from));
    assert_edges(&edges(RATE, &through_mulaw(&before(soft))), times);
}
