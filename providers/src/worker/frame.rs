//! Frames between a worker and its parent: one byte of kind, four of length (little-endian), body.

use std::io::{self, Read, Write};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Largest body, in bytes: 32 s of audio at 16 kHz, or any grammar that makes sense. A length
/// above it is a writer gone astray, not a reason to allocate.
pub(crate) const BODY_MAX: usize = 1 << 20;

const HEADER: usize = 5;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    /// Signed 16-bit little-endian samples.
    Audio(Bytes),
    Json(Bytes),
}

impl Frame {
    pub fn json(value: &impl Serialize) -> Self {
        Self::Json(serde_json::to_vec(value).expect("our messages serialise").into())
    }

    fn header(&self) -> [u8; HEADER] {
        let (kind, body) = match self {
            Self::Audio(body) => (b'a', body),
            Self::Json(body) => (b'j', body),
        };
        let [a, b, c, d] = (body.len() as u32).to_le_bytes();
        [kind, a, b, c, d]
    }

    fn body(&self) -> &Bytes {
        match self {
            Self::Audio(body) | Self::Json(body) => body,
        }
    }

    fn of(kind: u8, body: Vec<u8>) -> io::Result<Self> {
        match kind {
            b'a' => Ok(Self::Audio(body.into())),
            b'j' => Ok(Self::Json(body.into())),
            _ => Err(invalid(format!("unknown kind of frame {kind:#04x}"))),
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    // The error's own text may quote the body.
    serde_json::from_slice(body).map_err(|e| invalid(format!("bad message at byte {}", e.column())))
}

/// Reads a frame; `None` at the end of the input between two frames.
pub(crate) fn read(input: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    if input.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut header[1..])?;
    let mut body = vec![0; length(header)?];
    input.read_exact(&mut body)?;
    Frame::of(header[0], body).map(Some)
}

pub(crate) fn write(output: &mut impl Write, frame: &Frame) -> io::Result<()> {
    output.write_all(&frame.header())?;
    output.write_all(frame.body())?;
    output.flush()
}

pub(crate) fn write_json(output: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    write(output, &Frame::json(value))
}

/// As [`read`].
pub(crate) async fn read_async(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER];
    if input.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut header[1..]).await?;
    let mut body = vec![0; length(header)?];
    input.read_exact(&mut body).await?;
    Frame::of(header[0], body).map(Some)
}

pub(crate) async fn write_async(
    output: &mut (impl AsyncWrite + Unpin),
    frame: &Frame,
) -> io::Result<()> {
    output.write_all(&frame.header()).await?;
    output.write_all(frame.body()).await?;
    output.flush().await
}

fn length([_, a, b, c, d]: [u8; HEADER]) -> io::Result<usize> {
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length > BODY_MAX {
        return Err(invalid(format!("frame of {length} bytes, expected at most {BODY_MAX}")));
    }
    Ok(length)
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_written_and_the_end_is_seen() {
        let frames = [Frame::Audio(Bytes::from_static(&[1, 2])), Frame::json(&"finalize")];
        let mut wire = Vec::new();
        frames.iter().for_each(|frame| write(&mut wire, frame).unwrap());

        let input = &mut wire.as_slice();
        assert_eq!(read(input).unwrap().as_ref(), Some(&frames[0]));
        assert_eq!(read(input).unwrap().as_ref(), Some(&frames[1]));
        assert_eq!(read(input).unwrap(), None);
    }

    #[test]
    fn a_length_above_the_limit_is_an_error_before_anything_is_allocated() {
        let error = read(&mut [b'a', 0xFF, 0xFF, 0xFF, 0xFF].as_slice()).unwrap_err();

        assert_eq!(error.to_string(), "frame of 4294967295 bytes, expected at most 1048576");
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let error = read(&mut [b'a', 4, 0, 0, 0, 1].as_slice()).unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
