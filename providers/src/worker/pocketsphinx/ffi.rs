//! The functions of `libpocketsphinx.so.3` that we use (headers `pocketsphinx.h`, `cmd_ln.h`).

use std::{
    ffi::{CStr, CString, OsStr, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    ptr,
};

use libloading::Library;
use offhook_core::FailureClass;

use crate::worker::Failed;

type Ptr = *mut c_void;

/// The library's functions. They are never unloaded: the process has no other purpose.
pub(super) struct Api {
    ps_args: unsafe extern "C" fn() -> *const c_void,
    ps_init: unsafe extern "C" fn(Ptr) -> Ptr,
    ps_add_word: unsafe extern "C" fn(Ptr, *const c_char, *const c_char, c_int) -> c_int,
    ps_set_jsgf_string: unsafe extern "C" fn(Ptr, *const c_char, *const c_char) -> c_int,
    ps_set_search: unsafe extern "C" fn(Ptr, *const c_char) -> c_int,
    ps_start_utt: unsafe extern "C" fn(Ptr) -> c_int,
    ps_process_raw: unsafe extern "C" fn(Ptr, *const i16, usize, c_int, c_int) -> c_int,
    ps_end_utt: unsafe extern "C" fn(Ptr) -> c_int,
    ps_get_hyp: unsafe extern "C" fn(Ptr, *mut i32) -> *const c_char,
    ps_get_in_speech: unsafe extern "C" fn(Ptr) -> u8,
    ps_get_n_frames: unsafe extern "C" fn(Ptr) -> c_int,
    cmd_ln_parse_r: unsafe extern "C" fn(Ptr, *const c_void, i32, *mut *mut c_char, i32) -> Ptr,
}

impl Api {
    pub fn load(library: &str) -> Result<&'static Self, libloading::Error> {
        // SAFETY: loading runs the library's constructors, which do nothing but set themselves up;
        // the signatures are those of the headers of this library's version (its soname).
        unsafe {
            let library: &'static Library = Box::leak(Box::new(Library::new(library)?));
            Ok(Box::leak(Box::new(Self {
                ps_args: *library.get("ps_args")?,
                ps_init: *library.get("ps_init")?,
                ps_add_word: *library.get("ps_add_word")?,
                ps_set_jsgf_string: *library.get("ps_set_jsgf_string")?,
                ps_set_search: *library.get("ps_set_search")?,
                ps_start_utt: *library.get("ps_start_utt")?,
                ps_process_raw: *library.get("ps_process_raw")?,
                ps_end_utt: *library.get("ps_end_utt")?,
                ps_get_hyp: *library.get("ps_get_hyp")?,
                ps_get_in_speech: *library.get("ps_get_in_speech")?,
                ps_get_n_frames: *library.get("ps_get_n_frames")?,
                // Of libsphinxbase, which the library brings along.
                cmd_ln_parse_r: *library.get("cmd_ln_parse_r")?,
            })))
        }
    }
}

/// Text and how well it fits the sound, on the library's logarithmic scale.
pub(super) struct Hypothesis {
    pub text: String,
    pub score: i32,
}

/// One decoder. It lives as long as the process, so nothing is ever freed.
pub(super) struct Decoder {
    api: &'static Api,
    decoder: Ptr,
}

impl Decoder {
    pub fn new(api: &'static Api, settings: &[(&str, &OsStr)]) -> Result<Self, Failed> {
        let postspeech = super::recognizer::VAD_STOP_FRAMES.to_string();
        let always =
            [("-logfn", OsStr::new("/dev/null")), ("-vad_postspeech", postspeech.as_ref())];
        let mut arguments = vec![c_string(b"pocketsphinx")?];
        for (name, value) in settings.iter().chain(&always) {
            arguments.extend([c_string(name.as_bytes())?, c_string(value.as_bytes())?]);
        }
        // The configuration may point into its arguments.
        let arguments: &'static mut [CString] = arguments.leak();
        let mut argv: Vec<*mut c_char> =
            arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        // SAFETY: `argv` holds as many strings as we say, and the library copies what it keeps
        // before the vector goes; a null configuration is looked at by nobody.
        let decoder = unsafe {
            let argc = argv.len() as i32;
            let strict = 1;
            let config = (api.cmd_ln_parse_r)(
                ptr::null_mut(),
                (api.ps_args)(),
                argc,
                argv.as_mut_ptr(),
                strict,
            );
            if config.is_null() { ptr::null_mut() } else { (api.ps_init)(config) }
        };
        if decoder.is_null() {
            let detail = "pocketsphinx refused its model; install Debian's pocketsphinx-en-us";
            return Err(Failed::new(FailureClass::Unavailable, detail));
        }
        Ok(Self { api, decoder })
    }

    /// Adds words with their phones.
    pub fn add_words(&mut self, words: &[(String, String)]) -> Result<(), Failed> {
        for (index, (word, phones)) in words.iter().enumerate() {
            let (name, phones) = (c_string(word.as_bytes())?, c_string(phones.as_bytes())?);
            let update = c_int::from(index + 1 == words.len());
            // SAFETY: both strings outlive the call, which copies them.
            let id = unsafe {
                (self.api.ps_add_word)(self.decoder, name.as_ptr(), phones.as_ptr(), update)
            };
            if id < 0 {
                let detail = format!("pocketsphinx refused the word `{word}`");
                return Err(Failed::new(FailureClass::BadRequest, detail));
            }
        }
        Ok(())
    }

    /// Sets what may be said. Once per decoder: the library does not survive a second grammar.
    pub fn set_grammar(&mut self, jsgf: &str) -> Result<(), Failed> {
        let jsgf = c_string(jsgf.as_bytes())?;
        let name = c"grammar".as_ptr();
        // SAFETY: the strings outlive the calls, which copy them.
        let accepted = unsafe {
            (self.api.ps_set_jsgf_string)(self.decoder, name, jsgf.as_ptr()) == 0
                && (self.api.ps_set_search)(self.decoder, name) == 0
        };
        if accepted {
            Ok(())
        } else {
            Err(Failed::new(FailureClass::BadRequest, "pocketsphinx refused the grammar"))
        }
    }

    pub fn start(&mut self) -> Result<(), Failed> {
        // SAFETY: `decoder` came from `ps_init` and is never freed; so for all calls below.
        check("start an utterance", unsafe { (self.api.ps_start_utt)(self.decoder) })
    }

    pub fn hear(&mut self, samples: &[i16]) -> Result<(), Failed> {
        let (search, part) = (0, 0);
        // SAFETY: the library reads `len` samples and keeps none of them.
        check("take audio", unsafe {
            (self.api.ps_process_raw)(self.decoder, samples.as_ptr(), samples.len(), search, part)
        })
    }

    pub fn end(&mut self) -> Result<(), Failed> {
        // SAFETY: as in `start`.
        check("end an utterance", unsafe { (self.api.ps_end_utt)(self.decoder) })
    }

    /// The best text so far; after [`Self::end`] only one that the grammar allows as a whole.
    pub fn hypothesis(&mut self) -> Option<Hypothesis> {
        let mut score = 0;
        // SAFETY: the text belongs to the decoder until its next call, and is copied before.
        let text = unsafe {
            let text = (self.api.ps_get_hyp)(self.decoder, &raw mut score);
            if text.is_null() {
                return None;
            }
            CStr::from_ptr(text).to_string_lossy().into_owned()
        };
        (!text.is_empty()).then_some(Hypothesis { text, score })
    }

    pub fn is_in_speech(&mut self) -> bool {
        // SAFETY: as in `start`.
        unsafe { (self.api.ps_get_in_speech)(self.decoder) != 0 }
    }

    /// Frames of 10 ms that were searched in this utterance; silence around it is not.
    pub fn frames(&mut self) -> u32 {
        // SAFETY: as in `start`.
        unsafe { (self.api.ps_get_n_frames)(self.decoder) }.max(0) as u32
    }
}

fn check(what: &str, status: c_int) -> Result<(), Failed> {
    if status >= 0 {
        return Ok(());
    }
    Err(Failed::new(FailureClass::Unavailable, format!("pocketsphinx failed to {what}")))
}

fn c_string(bytes: &[u8]) -> Result<CString, Failed> {
    CString::new(bytes)
        .map_err(|_| Failed::new(FailureClass::BadRequest, "a zero byte in a setting or grammar"))
}
