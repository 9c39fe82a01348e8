//! What children may not do, and what becomes of children that try, hang or break.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use griot::pipeline::{Output, PipelineError, Refusal, Rung, Running, Transcode, VideoRung};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::films::{Bench, GRIOT, PLAIN, open, stand_in};
use crate::support::eventually;

/// Files that make others fetch what is written in them.
fn lures(port: u16) -> Vec<(&'static str, Vec<u8>)> {
    let address = format!("http://127.0.0.1:{port}/secret");
    let hls =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{address}.ts\n#EXT-X-ENDLIST\n");
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT4S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period>\
         <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{address}.mp4\
         </BaseURL></Representation></AdaptationSet></Period></MPD>"
    );
    let smooth = format!(
        "<SmoothStreamingMedia MajorVersion=\"2\" Duration=\"1\"><StreamIndex Url=\"{address}\"/></SmoothStreamingMedia>"
    );
    let sdp = format!(
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video {port} RTP/AVP 96\r\na=control:rtsp://127.0.0.1:{port}/x\r\n"
    );
    let concat = format!("ffconcat version 1.0\nfile '{address}.mp4'\n");
    let playlist = format!("[playlist]\nFile1={address}\nNumberOfEntries=1\n");
    let reference = format!("RTSPtext\r\nrtsp://127.0.0.1:{port}/x\r\n");
    // QuickTime's own way to point elsewhere: a reference movie (`rmra`).
    let atom = |kind: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes(), &kind[..], body].concat()
    };
    let url = format!("{address}.mov\0");
    let length = u32::try_from(url.len()).unwrap().to_be_bytes();
    let rdrf = atom(
        b"rdrf",
        &[&[0; 4], &b"url "[..], &length, url.as_bytes()].concat(),
    );
    let movie = atom(b"moov", &atom(b"rmra", &atom(b"rmda", &rdrf)));
    let redirect = [atom(b"ftyp", b"qt  \0\0\0\0qt  "), movie].concat();
    vec![
        ("hls.mp4", hls.into_bytes()),
        ("dash.mp4", dash.into_bytes()),
        ("smooth.mp4", smooth.into_bytes()),
        ("sdp.mp4", sdp.into_bytes()),
        ("concat.mp4", concat.into_bytes()),
        ("pls.mp4", playlist.into_bytes()),
        ("rtsptext.mov", reference.into_bytes()),
        ("rmra.mov", redirect),
    ]
}

/// A film whose data reference (`dref`) names an address instead of the file itself: ISO/IEC 14496-12 8.7.2.
fn with_outside_data(bench: &Bench, port: u16) -> PathBuf {
    let film = bench.film("film.mp4", PLAIN);
    let mut bytes = std::fs::read(film).expect("a film");
    let place = |bytes: &[u8], kind: &[u8; 4]| bytes.windows(4).position(|word| word == kind);
    // Behind the media, so that no offset into them changes.
    assert!(place(&bytes, b"mdat") < place(&bytes, b"moov"));
    let address = format!("http://127.0.0.1:{port}/x.mov\0");
    bytes = pointed_at(&bytes, address.as_bytes());
    assert!(
        bytes
            .windows(address.len())
            .any(|word| word == address.as_bytes())
    );
    bench.file("dref.mp4", &bytes)
}

/// The same boxes, with each entry `url ` of a `dref` naming `address` (flags 0: not in this file).
fn pointed_at(boxes: &[u8], address: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = boxes;
    while rest.len() >= 8 {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap());
        let (this, behind) = rest.split_at(usize::try_from(length).unwrap());
        let (kind, body) = (&this[4..8], &this[8..]);
        let body = match kind {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"dinf" => pointed_at(body, address),
            b"dref" => [&body[..8], &pointed_at(&body[8..], address)].concat(),
            b"url " => [&[0; 4], address].concat(),
            _ => body.to_vec(),
        };
        let length = u32::try_from(body.len() + 8).unwrap();
        out.extend([&length.to_be_bytes(), kind, &body].concat());
        rest = behind;
    }
    out
}

#[tokio::test]
async fn a_file_that_names_an_address_makes_nobody_go_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let (folder, program) = stand_in(&format!(
        "exec strace -f -qq -e trace=%network,openat,execve,fork,vfork,clone -o ${{0%/*}}/trace.$$ {GRIOT} \"$@\""
    ));
    let bench = Bench::with(|config| config.program = program);
    for (name, bytes) in lures(port) {
        let file = bench.file(name, &bytes);
        let refused = bench.host.probe(open(&file)).await;
        assert!(
            matches!(refused, Err(PipelineError::Refused(_))),
            "{name}: {refused:?}"
        );
        let drawn = bench.host.pictures(open(&file), vec![0], 64).await;
        assert!(drawn.is_err(), "{name}");
    }
    let outside = with_outside_data(&bench, port);
    // What becomes of it is GStreamer's affair; that nothing goes out is ours.
    drop(bench.host.probe(open(&outside)).await);
    let film = bench.film("plain.mp4", PLAIN);
    bench.host.probe(open(&film)).await.expect("a report");

    assert!(listener.accept().is_err(), "somebody came");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).expect("traces") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none() {
            continue;
        }
        seen += 1;
        let trace = std::fs::read_to_string(&path).expect("a trace");
        assert!(
            trace.contains("recvmsg"),
            "the trace is one of a child:\n{trace}"
        );
        for line in trace.lines() {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let reaches_out = ["socket(", "connect(", "bind(", "sendto(", "sendmsg("];
            assert!(
                !reaches_out.iter().any(|out| call.starts_with(out)),
                "{line}"
            );
        }
        // Behind the filter no file is opened either: the calls that try are refused.
        let locked = trace
            .lines()
            .skip_while(|line| !line.contains("socketpair("));
        for line in locked.filter(|line| line.contains("openat(")) {
            assert!(line.contains("ENOSYS"), "{line}");
        }
    }
    assert!(seen >= 10, "{seen} traces");
}

#[tokio::test]
async fn a_child_has_no_file_no_root_and_no_second_program() {
    let bench = Bench::new();
    let film = bench.film_of("long.mp4", "testsrc2=s=320x180:r=25:d=120", PLAIN);
    let mut running = bench.host.demux(open(&film)).await.expect("a child");
    assert!(running.next().await.expect("an output").is_some());
    let pid = running.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {status}"));
        line[name.len()..]
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("Seccomp:"), ["2"], "a filter");
    assert_eq!(line("NoNewPrivs:"), ["1"]);
    if rustix::process::geteuid().is_root() {
        assert_eq!(line("Uid:"), ["65534"; 4]);
        assert_eq!(line("Gid:"), ["65534"; 4]);
        assert_eq!(line("CapEff:"), ["0000000000000000"]);
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let limit = |name: &str| {
        let line = limits
            .lines()
            .find(|line| line.starts_with(name))
            .expect("a limit");
        line[name.len()..]
            .split_whitespace()
            .next()
            .expect("a value")
            .to_owned()
    };
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max open files"), "64");
    assert_eq!(limit("Max address space"), (2u64 << 30).to_string());
    drop(running);
    gone(pid).await;
}

async fn gone(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    eventually("the child is gone", || async {
        match test_kill_process(pid) {
            Ok(()) => Err("it is there"),
            Err(_) => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_child_that_is_killed_or_stopped_is_told_apart() {
    let bench = Bench::with(|config| config.silence = Some(Duration::from_secs(2)));
    let film = bench.film_of("long.mp4", "testsrc2=s=320x180:r=25:d=120", PLAIN);
    for (signal, expected) in [
        (Signal::KILL, PipelineError::Killed(9)),
        (Signal::STOP, PipelineError::Stalled(2)),
    ] {
        let mut running = bench.host.demux(open(&film)).await.expect("a child");
        let pid = running.pid().expect("it runs");
        let target = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
        assert!(running.next().await.expect("an output").is_some());
        kill_process(target, signal).expect("a signal");
        let error = loop {
            match running.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended well"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, expected);
        assert!(running.next().await.is_err(), "and stays so");
        gone(pid).await;
    }
}

/// What a host makes of a program that is no child.
async fn probe_by(script: &str) -> PipelineError {
    let (_folder, program) = stand_in(script);
    let bench = Bench::with(|config| {
        config.program = program;
        config.deadline = Some(Duration::from_secs(8));
        config.silence = Some(Duration::from_secs(4));
    });
    let film = bench.file("film.mp4", b"\0\0\0\x20ftypisom");
    bench.host.probe(open(&film)).await.expect_err("an error")
}

#[tokio::test]
async fn a_program_that_answers_garbage_is_ended() {
    let protocol = |error: &PipelineError| matches!(error, PipelineError::Protocol(_));
    let garbage = probe_by("printf '\\377\\377\\377\\377\\377\\377' >&0; sleep 60").await;
    assert!(protocol(&garbage), "{garbage:?}");
    // A frame of 4 GiB; then one that nobody asked for; then an answer before it is ready.
    let long = probe_by("printf '\\377\\377\\377\\377\\007' >&0; sleep 60").await;
    assert!(protocol(&long), "{long:?}");
    let ready = "printf '\\000\\000\\000\\002\\002\\000\\002' >&0";
    let frame = format!(
        "{ready}; printf '\\000\\000\\000\\024\\007\\000\\001aaaaaaaabbbbbbbbcc' >&0; sleep 60"
    );
    let frame = probe_by(&frame).await;
    assert!(protocol(&frame), "{frame:?}");
    let early = probe_by(
        "printf '\\000\\000\\000\\010\\011\\000\\000\\000\\000\\000\\000\\000\\001' >&0; sleep 60",
    )
    .await;
    assert!(protocol(&early), "{early:?}");
}

#[tokio::test]
async fn a_program_that_floods_its_output_or_hangs_or_ends_is_ended() {
    let flood = probe_by("while :; do echo 0123456789012345678901234567890123456789; done").await;
    // Nobody reads it any more after some megabytes: SIGPIPE.
    assert!(
        matches!(flood, PipelineError::Stalled(4) | PipelineError::Killed(13)),
        "{flood:?}"
    );
    assert_eq!(probe_by("sleep 60").await, PipelineError::Stalled(4));
    assert_eq!(probe_by("exit 7").await, PipelineError::Ended(7));
    assert_eq!(probe_by("kill -SEGV $$").await, PipelineError::Killed(11));
    let ready = "printf '\\000\\000\\000\\002\\002\\000\\002' >&0";
    let tick = "printf '\\000\\000\\000\\010\\011\\000\\000\\000\\000\\000\\000\\000\\001' >&0";
    let busy = probe_by(&format!("{ready}; while :; do {tick}; sleep 1; done")).await;
    assert_eq!(busy, PipelineError::Deadline(8));
}

#[tokio::test]
async fn a_child_without_memory_ends_and_nothing_else_does() {
    let bench = Bench::with(|config| config.memory_bytes = Some(64 << 20));
    let film = bench.film("film.mp4", PLAIN);
    let failed = bench.host.probe(open(&film)).await.expect_err("an error");
    eprintln!("{failed:?}");
    assert!(!matches!(failed, PipelineError::Protocol(_)), "{failed:?}");
}

#[tokio::test]
async fn without_a_filter_nothing_is_read() {
    // A limit of processes' own making: seccomp itself is refused to the child.
    let (_folder, program) = stand_in(&format!(
        "exec strace -f -qq -o /dev/null -e trace=seccomp -e inject=seccomp:error=EINVAL {GRIOT} \"$@\""
    ));
    let bench = Bench::with(|config| config.program = program);
    let film = bench.film("film.mp4", PLAIN);
    match bench.host.probe(open(&film)).await {
        Err(PipelineError::Failed(why)) => assert!(why.contains("filter"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_so_many_children_run_at_once() {
    let bench = Bench::with(|config| config.max_light = 1);
    let film = bench.film("film.mp4", PLAIN);
    let first = bench.host.demux(open(&film)).await.expect("a child");
    let second = tokio::time::timeout(Duration::from_secs(1), bench.host.demux(open(&film))).await;
    assert!(second.is_err(), "it waits for a place");
    drop(first);
    let mut third = bench.host.demux(open(&film)).await.expect("a place");
    assert!(matches!(
        third.next().await,
        Ok(Some(Output::Track { .. } | Output::Progress { .. }))
    ));
}

#[tokio::test]
async fn a_pipe_is_no_file() {
    let bench = Bench::new();
    let (read, _write) = std::io::pipe().expect("a pipe");
    let file = std::fs::File::from(std::os::fd::OwnedFd::from(read));
    assert!(matches!(
        bench.host.probe(file).await,
        Err(PipelineError::System(_))
    ));
    let folder = std::fs::File::open("/").expect("a folder");
    let refused = bench.host.probe(folder).await;
    assert!(
        !matches!(refused, Err(PipelineError::Refused(Refusal::Unreadable))),
        "{refused:?}"
    );
}

/// One small rung of a film of so many seconds.
fn small_rung(seconds: u64) -> Transcode {
    let video = Some(VideoRung {
        width: 320,
        height: 180,
        max_kbps: 500,
    });
    Transcode {
        rungs: vec![Rung { video, audio: None }],
        frame_rate: (25, 1),
        deinterlace: false,
        turned: false,
        duration_ms: seconds * 1_000,
    }
}

/// All that a child says, how it ended, and the most address space that it was seen to have, bytes.
async fn to_the_end(running: &mut Running) -> (Result<(), PipelineError>, u64) {
    let mut most = 0;
    loop {
        let pid = running.pid().unwrap_or(0);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
        let peak = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(peak.unwrap_or(0) << 10);
        match running.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return (Ok(()), most),
            Err(error) => return (Err(error), most),
        }
    }
}

#[tokio::test]
async fn a_child_that_computes_for_ever_ends_at_its_limit_of_cpu() {
    let bench = Bench::with(|config| config.cpu_s = Some(2));
    let film = bench.film_of("long.mp4", "testsrc2=s=640x360:r=25:d=300", PLAIN);
    let mut running = bench
        .host
        .transcode(open(&film), small_rung(300))
        .await
        .expect("a child");
    let (ended, _) = to_the_end(&mut running).await;
    let by_the_limit =
        [Signal::KILL, Signal::XCPU].map(|signal| PipelineError::Killed(signal.as_raw()));
    assert!(
        by_the_limit.contains(&ended.clone().expect_err("an end")),
        "{ended:?}"
    );
    let spent = running.summary().cpu_s;
    assert!((1.0..=4.0).contains(&spent), "{spent} s");
    let short = bench.film("short.mp4", &[PLAIN, &["-t", "1"]].concat());
    bench.host.probe(open(&short)).await.expect("others go on");
}

#[tokio::test]
async fn a_child_that_allocates_beyond_its_limit_gets_no_more_and_nobody_else_is_harmed() {
    let small = |bench: &Bench| bench.film("small.mp4", &[PLAIN, &["-t", "2"]].concat());
    let bench = Bench::new();
    let mut running = bench
        .host
        .transcode(open(&small(&bench)), small_rung(2))
        .await
        .expect("a child");
    let (ended, usual) = to_the_end(&mut running).await;
    ended.expect("a small film");
    // A picture of 8192 × 4320 has 53 MB, and even a decoder of one thread holds more than one.
    let limit = usual + (64 << 20);
    let bench = Bench::with(|config| config.memory_bytes = Some(limit));
    let large = bench.film_of("large.mp4", "testsrc2=s=8192x4320:r=25:d=0.4", PLAIN);
    let mut running = bench
        .host
        .transcode(open(&large), small_rung(2))
        .await
        .expect("a child");
    let (ended, most) = to_the_end(&mut running).await;
    assert!(most <= limit, "{most} of {limit}");
    let broke_off = ended.is_ok() && running.summary().truncated;
    assert!(
        ended.is_err() || broke_off,
        "{limit} bytes are enough for {most}?"
    );
    assert!(
        !matches!(
            ended,
            Err(PipelineError::Protocol(_) | PipelineError::Stalled(_))
        ),
        "{ended:?}"
    );
    // Its place is free again.
    drop(running);
    let mut running = bench
        .host
        .transcode(open(&small(&bench)), small_rung(2))
        .await
        .expect("a child");
    to_the_end(&mut running).await.0.expect("others go on");
}

/// Where this system keeps GStreamer's plugins.
fn plugin_folder() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib")
        .expect("a folder")
        .filter_map(|entry| {
            let folder = entry.ok()?.path().join("gstreamer-1.0");
            folder
                .join("libgstcoreelements.so")
                .exists()
                .then_some(folder)
        });
    found.into_iter().next().expect("GStreamer is installed")
}

/// What `griot doctor` prints where these plugins cannot be loaded: files of nothing lie over them, for it alone.
fn doctor_without(plugins: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, b"").expect("a file");
    let cover = |plugin: &&str| {
        let path: PathBuf = plugin_folder().join(plugin);
        let (empty, path): (&Path, &Path) = (&empty, &path);
        format!("mount --bind {} {} && ", empty.display(), path.display())
    };
    let covers: String = plugins.iter().map(cover).collect();
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            &format!("{covers}exec {GRIOT} doctor"),
        ])
        .env("GRIOT_DATA_DIR", folder.path().join("data"))
        .env("GRIOT_HTTP_LISTEN", "127.0.0.1:0")
        .env("GRIOT_RTMP_LISTEN", "127.0.0.1:0")
        .output()
        .expect("unshare starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("gstreamer"),
        "mounting needs root, as disk.rs does: {said}{stderr}"
    );
    said
}

#[test]
fn doctor_names_elements_that_are_missing_and_the_packages_that_bring_them() {
    let whole = doctor_without(&[]);
    assert!(whole.contains("every element is there"), "{whole}");
    let poor = doctor_without(&["libgstlibav.so", "libgstx264.so"]);
    let lines: Vec<&str> = poor
        .lines()
        .filter(|line| line.contains("gstreamer"))
        .collect();
    let needed = lines
        .iter()
        .find(|line| line.contains("videos cannot be uploaded"));
    let needed = needed.unwrap_or_else(|| panic!("{poor}"));
    assert!(needed.contains("avdec_h264"), "{needed}");
    assert!(
        needed.ends_with("apt-get install --no-install-recommends gstreamer1.0-libav"),
        "{needed}"
    );
    let optional = lines
        .iter()
        .find(|line| line.contains("some codecs are missing"));
    let optional = optional.unwrap_or_else(|| panic!("{poor}"));
    assert!(optional.contains("x264enc"), "{optional}");
    assert!(
        optional.ends_with("apt-get install --no-install-recommends gstreamer1.0-plugins-ugly"),
        "{optional}"
    );
}
