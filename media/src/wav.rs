//! Recordings as WAV files.

mod read;

use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    path::Path,
};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

pub use read::samples_of_wav;

/// The header is brought up to date at least this often, in seconds of audio: what a crash may cost.
const HEADER_EVERY_S: u64 = 1;

/// Sizes in a WAV header are 32 bits wide; some room is left for the header itself. At 48 kHz that
/// is six hours.
const DATA_BYTES_MAX: u64 = u32::MAX as u64 - 1024;

/// Samples of both channels that are mixed at once: 16 kB.
const MIX_SAMPLES: usize = 8_192;

/// Writes both parties of a call, the caller left and the assistant right, 16-bit linear. The file
/// can be read up to the last [`StereoWav::flush`] at any time, also after a crash.
pub struct StereoWav<W: Write + Seek> {
    inner: WavWriter<BufWriter<W>>,
    sample_rate_hz: u32,
    frames: u64,
    flushed: u64,
}

impl<W: Write + Seek> StereoWav<W> {
    /// Writes the header of an empty file, at the beginning of a writer.
    pub fn create(writer: W, sample_rate_hz: u32) -> io::Result<Self> {
        let inner = WavWriter::new(BufWriter::new(writer), spec(2, sample_rate_hz));
        let mut wav =
            Self { inner: inner.map_err(io_error)?, sample_rate_hz, frames: 0, flushed: 0 };
        wav.flush()?;
        Ok(wav)
    }

    /// Appends samples of both channels; silence fills up the shorter one.
    pub fn write(&mut self, left: &[i16], right: &[i16]) -> io::Result<()> {
        let frames = left.len().max(right.len());
        if (self.frames + frames as u64) * 4 > DATA_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "wav file is full: it can hold 4 GiB, begin another one",
            ));
        }
        let sample = |channel: &[i16], index| channel.get(index).copied().unwrap_or(0);
        let frames_written = (0..frames).flat_map(|i| [sample(left, i), sample(right, i)]);
        write_samples(&mut self.inner, frames_written, frames * 2)?;
        self.frames += frames as u64;
        if self.frames - self.flushed >= HEADER_EVERY_S * u64::from(self.sample_rate_hz) {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes out what is buffered and makes the header say so.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flushed = self.frames;
        self.inner.flush().map_err(io_error)
    }

    pub fn finalize(self) -> io::Result<()> {
        self.inner.finalize().map_err(io_error)
    }
}

impl StereoWav<File> {
    /// Goes on behind what a file holds, also one whose writer died: what its header does not know
    /// of is overwritten.
    pub fn append(path: &Path) -> io::Result<Self> {
        let inner = WavWriter::append(path).map_err(io_error)?;
        let WavSpec { channels, sample_rate, bits_per_sample, .. } = inner.spec();
        if (channels, bits_per_sample) != (2, 16) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "cannot append to a wav file of {channels} channels and {bits_per_sample} \
                     bits, expected 2 channels of 16 bits"
                ),
            ));
        }
        let frames = u64::from(inner.duration());
        Ok(Self { inner, sample_rate_hz: sample_rate, frames, flushed: frames })
    }
}

impl<W: Write + Seek> StereoWav<W> {
    /// How many samples each channel has.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

/// Mixes a stereo recording to mono. Both parties keep their level, as mostly one speaks at a time;
/// where both are loud it is clipped.
pub fn mono_of(reader: impl Read, writer: impl Write + Seek) -> io::Result<()> {
    let mut stereo = WavReader::new(io::BufReader::new(reader)).map_err(io_error)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = stereo.spec();
    if (channels, bits_per_sample, sample_format) != (2, 16, SampleFormat::Int) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "cannot mix a wav file of {channels} channels and {bits_per_sample} bits, \
                 expected 2 channels of 16-bit integers"
            ),
        ));
    }
    let mut mono =
        WavWriter::new(BufWriter::new(writer), spec(1, sample_rate)).map_err(io_error)?;
    let mut samples = stereo.samples::<i16>();
    let mut batch = Vec::with_capacity(MIX_SAMPLES);
    loop {
        batch.clear();
        for sample in samples.by_ref().take(MIX_SAMPLES) {
            batch.push(sample.map_err(io_error)?);
        }
        if batch.is_empty() {
            return mono.finalize().map_err(io_error);
        }
        let (frames, _) = batch.as_chunks::<2>();
        let mixed = frames.iter().map(|[left, right]| left.saturating_add(*right));
        write_samples(&mut mono, mixed, frames.len())?;
    }
}

fn write_samples<W: Write + Seek>(
    writer: &mut WavWriter<W>,
    samples: impl Iterator<Item = i16>,
    count: usize,
) -> io::Result<()> {
    let count = u32::try_from(count).map_err(io::Error::other)?;
    let mut batch = writer.get_i16_writer(count);
    samples.for_each(|sample| batch.write_sample(sample));
    batch.flush().map_err(io_error)
}

fn spec(channels: u16, sample_rate: u32) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int }
}

fn io_error(error: hound::Error) -> io::Error {
    match error {
        hound::Error::IoError(error) => error,
        error @ (hound::Error::FormatError(_)
        | hound::Error::TooWide
        | hound::Error::UnfinishedSample
        | hound::Error::Unsupported
        | hound::Error::InvalidSampleFormat) => io::Error::new(io::ErrorKind::InvalidData, error),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        io::{Cursor, SeekFrom},
        rc::Rc,
    };

    use super::*;

    /// A file whose content is seen without finishing it, as after a crash.
    #[derive(Clone, Default)]
    struct Disk(Rc<RefCell<Cursor<Vec<u8>>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Disk {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.borrow_mut().seek(to)
        }
    }

    impl Disk {
        fn content(&self) -> Vec<u8> {
            self.0.borrow().get_ref().clone()
        }

        fn samples(&self) -> Vec<i16> {
            let reader = WavReader::new(Cursor::new(self.content())).unwrap();
            reader.into_samples().map(|sample| sample.unwrap()).collect()
        }
    }

    #[test]
    fn both_parties_are_interleaved_and_the_shorter_one_is_filled_with_silence() {
        let disk = Disk::default();
        let mut wav = StereoWav::create(disk.clone(), 8_000).unwrap();
        wav.write(&[1, 2, 3], &[-1]).unwrap();
        wav.write(&[], &[-4]).unwrap();
        wav.finalize().unwrap();
        assert_eq!(disk.samples(), [1, -1, 2, 0, 3, 0, 0, -4]);
    }

    #[test]
    fn a_file_that_was_never_finished_reads_up_to_the_last_whole_second() {
        let disk = Disk::default();
        let mut wav = StereoWav::create(disk.clone(), 8_000).unwrap();
        assert_eq!(disk.samples(), []);
        for _ in 0..125 {
            wav.write(&[7; 160], &[8; 160]).unwrap();
        }
        let crashed = Disk(Rc::new(RefCell::new(Cursor::new(disk.content()))));
        std::mem::forget(wav);
        assert_eq!(crashed.samples().len(), 2 * 8_000 * 2);
    }

    #[test]
    fn flushing_makes_everything_readable() {
        let disk = Disk::default();
        let mut wav = StereoWav::create(disk.clone(), 16_000).unwrap();
        wav.write(&[1], &[2]).unwrap();
        wav.flush().unwrap();
        assert_eq!(disk.samples(), [1, 2]);
        wav.write(&[3], &[4]).unwrap();
        wav.flush().unwrap();
        assert_eq!(disk.samples(), [1, 2, 3, 4]);
    }

    #[test]
    fn mono_keeps_the_level_of_who_speaks_alone_and_clips_both_together() {
        let (stereo, mono) = (Disk::default(), Disk::default());
        let mut wav = StereoWav::create(stereo.clone(), 8_000).unwrap();
        for _ in 0..5_000 {
            wav.write(&[100, 0, 30_000], &[0, -200, 30_000]).unwrap();
        }
        wav.finalize().unwrap();
        mono_of(Cursor::new(stereo.content()), mono.clone()).unwrap();
        assert_eq!(mono.samples(), [100, -200, i16::MAX].repeat(5_000));
    }

    #[test]
    fn what_is_no_stereo_recording_is_refused() {
        assert!(mono_of(Cursor::new(b"hello".to_vec()), Disk::default()).is_err());

        let stereo = Disk::default();
        let mut wav = StereoWav::create(stereo.clone(), 8_000).unwrap();
        wav.write(&[1], &[2]).unwrap();
        wav.finalize().unwrap();
        let mono = Disk::default();
        mono_of(Cursor::new(stereo.content()), mono.clone()).unwrap();
        let error = mono_of(Cursor::new(mono.content()), Disk::default()).unwrap_err();
        assert!(error.to_string().contains("expected 2 channels"), "{error}");
    }

    #[test]
    fn a_recording_goes_on_where_the_last_header_of_a_dead_writer_ended_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("call.wav");
        let mut first = StereoWav::create(File::create(&path).unwrap(), 8_000).unwrap();
        first.write(&[1; 800], &[2; 800]).unwrap();
        first.flush().unwrap();
        std::mem::forget(first);
        // Written, and in no header.
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[9; 400]).unwrap();

        let mut second = StereoWav::append(&path).unwrap();
        assert_eq!(second.frames(), 800);
        second.write(&[3; 80], &[4; 80]).unwrap();
        second.finalize().unwrap();
        let samples: Vec<i16> =
            WavReader::open(&path).unwrap().samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 1_760);
        assert_eq!(samples[1_598..1_602], [1, 2, 3, 4]);
    }
}
