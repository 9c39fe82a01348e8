//! Ladders that break: killed, stopped, lied to, fed with rubbish. Each ends in an error or goes on, and nobody hangs.

use std::time::Duration;

use griot::av::TrackKind;
use griot::pipeline::{Behind, PipelineError, VideoRung};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::films::{Bench, GRIOT, stand_in};
use super::rungs::{Climb, Climbed, Source, climb, plan, times};
use crate::support::{clip, eventually};

const SIDES: [(u32, u32); 1] = [(160, 90)];

fn pid(climb: &Climb) -> Pid {
    let pid = climb.output.pid().expect("it runs");
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

async fn is_gone(pid: Pid) {
    eventually("the child is gone", || async move {
        match test_kill_process(pid) {
            Ok(()) => Err("it is there"),
            Err(_) => Ok(()),
        }
    })
    .await;
}

/// A ladder in the middle of its work.
async fn midway(bench: &Bench) -> (Climb, Source) {
    let source = Source::of(&Bench::new(), &clip()).await;
    let mut climb = Climb::start(bench, &plan(&source, &SIDES, &[64])).await;
    climb.feed(source.parts()[..10].to_vec()).await.unwrap();
    climb.catch_up().await.unwrap();
    (climb, source)
}

#[tokio::test]
async fn a_ladder_that_is_killed_says_so() {
    let bench = Bench::new();
    let (mut climb, source) = midway(&bench).await;
    assert!(climb.output.memory_bytes() > 10 << 20);
    kill_process(pid(&climb), Signal::KILL).unwrap();
    let parts = source.parts()[10..20].to_vec();
    let error = async {
        climb.feed(parts).await?;
        loop {
            climb.step().await?;
        }
    };
    let error: Result<(), PipelineError> = error.await;
    assert_eq!(error, Err(PipelineError::Killed(9)));
    assert!(climb.output.cpu_s() > 0.0);
    assert!(climb.step().await.is_err(), "and stays so");
    assert_eq!(climb.output.memory_bytes(), 0);
}

#[tokio::test]
async fn a_ladder_that_is_stopped_is_behind_then_silent_then_gone() {
    let bench = Bench::with(|config| config.silence = Some(Duration::from_secs(2)));
    let (mut climb, source) = midway(&bench).await;
    let pid = pid(&climb);
    kill_process(pid, Signal::STOP).unwrap();
    let mut parts = source.parts()[10..].to_vec();
    parts.reverse();
    let mut taken = 0;
    // While nothing is read, three seconds of media are taken and not more.
    while climb
        .input
        .push(parts.pop().expect("more media than the bound"))
        != Err(Behind)
    {
        taken += 1;
    }
    assert!((13..=15).contains(&taken), "{taken} parts of 200 ms");
    assert!(climb.input.waiting() > Duration::from_millis(2_500));
    let error = loop {
        match climb.step().await {
            Ok(goes_on) => assert!(goes_on),
            Err(error) => break error,
        }
    };
    assert_eq!(error, PipelineError::Stalled(2));
    is_gone(pid).await;
}

#[tokio::test]
async fn a_ladder_that_was_stopped_for_a_moment_goes_on() {
    let bench = Bench::with(|config| config.silence = Some(Duration::from_secs(60)));
    let (mut climb, source) = midway(&bench).await;
    let pid = pid(&climb);
    kill_process(pid, Signal::STOP).unwrap();
    climb.input.push(source.parts()[10].clone()).unwrap();
    let stopped = tokio::time::timeout(Duration::from_millis(500), async {
        while climb.step().await.expect("it is only stopped") {}
    });
    assert!(stopped.await.is_err());
    assert!(climb.input.waiting() > Duration::ZERO);
    kill_process(pid, Signal::CONT).unwrap();
    climb.feed(source.parts()[11..].to_vec()).await.unwrap();
    let climbed: Climbed = climb.finish().await.unwrap();
    assert_eq!(times(&climbed.pictures[0].1), source.times());
}

#[tokio::test]
async fn a_ladder_that_is_dropped_is_killed() {
    let bench = Bench::new();
    let (climb, _) = midway(&bench).await;
    let pid = pid(&climb);
    drop(climb.output);
    is_gone(pid).await;
    // Nobody reads any more; the live goes on without.
    climb.input.set_active(0, false);
    climb.input.end();
}

#[tokio::test]
async fn a_ladder_that_talks_nonsense_is_ended() {
    // Says it is ready (kind 3, version 2), then a frame of a stream that was never described.
    let ready = r"printf '\000\000\000\002\002\000\002' >&0";
    for (script, word) in [
        ("head -c 100 /dev/urandom >&0; sleep 60", None),
        (
            &format!(
                r"{ready}; printf '\000\000\000\023\007\000\000\000\000\000\000\000\000\000\001\000\000\000\000\000\000\000\001x' >&0; sleep 60"
            ),
            Some("a frame before its track"),
        ),
        (
            &format!(r"{ready}; printf '\377\377\377\377\007' >&0; sleep 60"),
            Some("a message is too long"),
        ),
        (
            &format!(
                r"{ready}; printf '\000\000\000\020\015\000\000\000\000\000\000\377\377\000\000\000\000\000\000\000\001' >&0; sleep 60"
            ),
            Some("frames that it was not given"),
        ),
    ] {
        let (_folder, program) = stand_in(script);
        let real = Bench::new();
        let source = Source::of(&real, &clip()).await;
        let bench = Bench::with(|config| config.program = program);
        let mut climb = Climb::start(&bench, &plan(&source, &SIDES, &[64])).await;
        let error = async {
            climb.feed(source.parts()).await?;
            loop {
                climb.step().await?;
            }
        };
        let error: Result<(), PipelineError> = error.await;
        match (error, word) {
            (Err(PipelineError::Protocol(said)), Some(word)) => assert_eq!(said, word),
            (Err(PipelineError::Protocol(_)), None) => {}
            (other, _) => panic!("{script}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn damage_in_the_source_costs_a_gop_and_no_more() {
    let bench = Bench::new();
    let mut source = Source::of(&bench, &clip()).await;
    let (all, keys) = source.times();
    // In the second GOP every other picture, in the fourth second every third packet of sound, is rubbish.
    let damaged = keys[1]..keys[2];
    for (at, frame) in source.frames.iter_mut().enumerate() {
        let hit = match frame.track {
            TrackKind::Video => damaged.contains(&frame.pts.0) && at % 2 == 0,
            TrackKind::Audio => (144_000..192_000).contains(&frame.dts.0) && at % 3 == 0,
        };
        if hit {
            let length = frame.data.len();
            let mut bytes = vec![0x5a; length];
            // The length prefix stays, so that it is a picture's NAL unit that is broken.
            let kept = length.min(6);
            bytes[..kept].copy_from_slice(&frame.data[..kept]);
            frame.data = bytes.into();
        }
    }
    let climbed = climb(&bench, &plan(&source, &SIDES, &[64]), &source)
        .await
        .expect("it goes on");
    let (out, out_keys) = times(&climbed.pictures[0].1);
    assert!(
        out.iter().all(|time| all.contains(time)),
        "no time is invented"
    );
    let whole = |time: &&i64| !damaged.contains(*time);
    let expected: Vec<&i64> = all.iter().filter(whole).collect();
    let got: Vec<&i64> = out.iter().filter(whole).collect();
    assert_eq!(got, expected);
    assert_eq!(out_keys.last(), keys.last());
    let sounds = &climbed.sounds[0].1;
    assert!(
        sounds
            .windows(2)
            .all(|pair| pair[1].dts.0 - pair[0].dts.0 == 1_024)
    );
}

#[tokio::test]
async fn a_source_of_which_nothing_decodes_ends_the_ladder() {
    let bench = Bench::new();
    let mut source = Source::of(&bench, &clip()).await;
    source
        .frames
        .retain(|frame| frame.track == TrackKind::Video);
    for frame in &mut source.frames {
        frame.data = vec![0; frame.data.len()].into();
    }
    let mut climb = Climb::start(&bench, &plan(&source, &SIDES, &[])).await;
    let error = async {
        for round in 0..10 {
            climb.feed(source.clone().later(round * 10).parts()).await?;
        }
        Ok(())
    };
    let error: Result<(), PipelineError> = error.await;
    assert!(
        matches!(&error, Err(PipelineError::Failed(why)) if why.contains("nothing")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_plan_out_of_range_starts_nothing() {
    let bench = Bench::new();
    let source = Source::of(&bench, &clip()).await;
    let good = plan(&source, &SIDES, &[64]);
    let mut odd = good.clone();
    odd.pictures[0] = VideoRung {
        width: 161,
        ..odd.pictures[0]
    };
    let mut without = good.clone();
    without.video = None;
    let mut many = good.clone();
    many.pictures = vec![many.pictures[0]; 9];
    let mut nothing = good;
    nothing.pictures.clear();
    nothing.sounds.clear();
    for plan in [odd, without, many, nothing] {
        let refused = bench.host.ladder(plan).await.map(|_| ());
        assert!(
            matches!(refused, Err(PipelineError::Failed(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_ladder_opens_no_socket_and_no_file_once_it_is_locked_up() {
    let (folder, program) = stand_in(&format!(
        "exec strace -f -qq -e trace=%network,openat,execve,fork,vfork,clone -o ${{0%/*}}/trace.$$ {GRIOT} \"$@\""
    ));
    let bench = Bench::new();
    let source = Source::of(&bench, &clip()).await;
    let traced = Bench::with(|config| config.program = program);
    let climbed = climb(&traced, &plan(&source, &SIDES, &[64]), &source)
        .await
        .expect("a ladder");
    assert_eq!(times(&climbed.pictures[0].1), source.times());
    let traces = std::fs::read_dir(folder.path())
        .expect("traces")
        .map(|entry| entry.unwrap().path());
    let traces: Vec<String> = traces
        .filter(|path| path.extension().is_some())
        .map(|path| std::fs::read_to_string(path).expect("a trace"))
        .collect();
    assert!(!traces.is_empty());
    for line in traces.iter().flat_map(|trace| trace.lines()) {
        let call = line.split_whitespace().nth(1).unwrap_or_default();
        let reaches_out = [
            "socket(", "connect(", "bind(", "sendto(", "sendmsg(", "fork(", "vfork(",
        ];
        assert!(
            !reaches_out.iter().any(|reach| call.starts_with(reach)),
            "{line}"
        );
    }
}
