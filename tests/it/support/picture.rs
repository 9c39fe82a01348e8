//! Pictures as cameras and liars make them.

use std::io::Write;
use std::process::Command;

/// A picture made by ffmpeg from a `lavfi` source, in the container that `name`'s ending says.
pub(crate) fn drawn(source: &str, name: &str, more: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source])
        .args(more)
        .arg(&path)
        .output()
        .expect("ffmpeg is installed");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::read(path).expect("ffmpeg wrote a file")
}

/// A file's first picture decoded by ffmpeg: width, height, and four bytes a pixel.
pub(crate) fn seen(file: &[u8]) -> (u32, u32, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("picture");
    std::fs::write(&path, file).expect("a file is written");
    let size = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries"])
        .args(["stream=width,height", "-of", "csv=p=0"])
        .arg(&path)
        .output()
        .expect("ffprobe is installed");
    let size = String::from_utf8_lossy(&size.stdout).trim().to_owned();
    let (width, height) = size
        .split_once(',')
        .unwrap_or_else(|| panic!("a size: {size}"));
    let pixels = Command::new("ffmpeg")
        .args(["-v", "error", "-noautorotate", "-i"])
        .arg(&path)
        .args(["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgba", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(
        pixels.status.success(),
        "{}",
        String::from_utf8_lossy(&pixels.stderr)
    );
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("a number: {text}"));
    (number(width), number(height), pixels.stdout)
}

/// One pixel of what [`seen`] gives.
pub(crate) fn pixel(picture: &(u32, u32, Vec<u8>), x: u32, y: u32) -> [u8; 4] {
    let at = usize::try_from((y * picture.0 + x) * 4).expect("small");
    picture.2[at..at + 4].try_into().expect("four bytes")
}

/// What must not be found in anything of a picture that [`of_a_phone`] made.
pub(crate) const TRACES: [&[u8]; 6] = [
    b"Exif\0\0",
    b"SecretPhoneMaker",
    b"GPSLatitude",
    b"xmpmeta",
    b"ns.adobe.com",
    // 0xdeadbee5 seconds of latitude.
    b"\xe5\xbe\xad\xde",
];

/// A JPEG with what a phone adds to it: how it was held, its maker, where it was (EXIF 2.32 §4.6.6), XMP.
pub(crate) fn of_a_phone(jpeg: &[u8], orientation: u16) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        let mut bytes = tag.to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
        bytes
    };
    // Three entries and the end: 8 + 2 + 36 + 4 = 50.
    let maker = b"SecretPhoneMaker\0";
    let gps = 50 + 18;
    tiff.extend(3_u16.to_le_bytes());
    tiff.extend(entry(0x010f, 2, 17, 50));
    tiff.extend(entry(0x0112, 3, 1, u32::from(orientation)));
    tiff.extend(entry(0x8825, 4, 1, gps));
    tiff.extend([0; 4]);
    tiff.extend(maker);
    tiff.push(0);
    // Two entries: 68 + 2 + 24 + 4 = 98.
    tiff.extend(2_u16.to_le_bytes());
    tiff.extend(entry(1, 2, 2, u32::from(b'N')));
    tiff.extend(entry(2, 5, 3, 98));
    tiff.extend([0; 4]);
    for number in [9_u32, 1, 30, 1, 0xdead_bee5, 0x1000_0000] {
        tiff.extend(number.to_le_bytes());
    }
    let exif = [b"Exif\0\0", &tiff[..]].concat();
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><exif:GPSLatitude>9,30.5N</exif:GPSLatitude></x:xmpmeta>";
    [
        &jpeg[..2],
        &segment(0xe1, &exif),
        &segment(0xe1, xmp),
        &jpeg[2..],
    ]
    .concat()
}

/// A JPEG segment: marker, length, bytes (T.81 B.1.1.4).
pub(crate) fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).expect("a short segment");
    [&[0xff, marker], &length.to_be_bytes()[..], body].concat()
}

/// A PNG of `side` × `side` pixels with alpha, all zero: small to send, four times its pixels to decode.
pub(crate) fn png_bomb(side: u32) -> Vec<u8> {
    let mut head = side.to_be_bytes().to_vec();
    head.extend(side.to_be_bytes());
    head.extend([8, 6, 0, 0, 0]);
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let row = vec![0; usize::try_from(side).expect("small") * 4 + 1];
    for _ in 0..side {
        packed.write_all(&row).expect("memory takes it");
    }
    let packed = packed.finish().expect("memory takes it");
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &packed),
        chunk(b"IEND", b""),
    ]
    .concat()
}

/// A PNG chunk: length, name, bytes, CRC.
fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short").to_be_bytes();
    let checked = [&name[..], body].concat();
    let checksum = crc32fast::hash(&checked).to_be_bytes();
    [&length[..], &checked, &checksum].concat()
}

/// Whether `needle` is somewhere in `hay`.
pub(crate) fn holds(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}
