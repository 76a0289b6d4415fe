//! The functions of `libflite.so.1` and of its voices that we use (headers `flite.h`,
//! `cst_voice.h`, `cst_wave.h`, `cst_item.h`).

use std::{
    ffi::{CStr, CString, c_char, c_float, c_int, c_void},
    ptr, slice,
};

use libloading::Library;
use offhook_core::FailureClass;

use super::{Settings, Word};
use crate::worker::Failed;

type Ptr = *mut c_void;

/// Where a token's first word begins: the end of the segment before its first one.
const START: &CStr = c"daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end";
const END: &CStr = c"daughtern.R:SylStructure.daughtern.daughtern.R:Segment.end";

/// The beginning of `cst_voice`.
#[repr(C)]
struct CstVoice {
    name: *const c_char,
    features: Ptr,
}

/// `cst_wave`.
#[repr(C)]
struct CstWave {
    kind: *const c_char,
    sample_rate: c_int,
    num_samples: c_int,
    num_channels: c_int,
    samples: *const i16,
}

struct Api {
    flite_synth_text: unsafe extern "C" fn(*const c_char, *mut CstVoice) -> Ptr,
    delete_utterance: unsafe extern "C" fn(Ptr),
    utt_wave: unsafe extern "C" fn(Ptr) -> *const CstWave,
    utt_relation: unsafe extern "C" fn(Ptr, *const c_char) -> Ptr,
    relation_head: unsafe extern "C" fn(Ptr) -> Ptr,
    item_next: unsafe extern "C" fn(Ptr) -> Ptr,
    ffeature_string: unsafe extern "C" fn(Ptr, *const c_char) -> *const c_char,
    ffeature_float: unsafe extern "C" fn(Ptr, *const c_char) -> c_float,
}

/// A loaded voice. It lives as long as the process, so it is never freed.
pub(super) struct Voice {
    api: Api,
    voice: *mut CstVoice,
}

/// Mono audio at the voice's rate, and its words.
pub(super) struct Speech {
    pub samples: Vec<i16>,
    pub words: Vec<Word>,
}

impl Voice {
    pub fn load(settings: &Settings) -> Result<Self, Failed> {
        Self::load_libraries(settings).map_err(|e| {
            let detail = format!("loading {}: {e}; install Debian's flite", settings.library);
            Failed::new(FailureClass::Unavailable, detail)
        })
    }

    fn load_libraries(settings: &Settings) -> Result<Self, libloading::Error> {
        let name = format!("cmu_us_{}", settings.voice);
        let of_voice = settings.library.replacen("libflite", &format!("libflite_{name}"), 1);
        // SAFETY: loading runs the libraries' constructors, which do nothing but set themselves
        // up; the signatures are those of the headers of this version (its soname); the voice and
        // its features live as long as the library, which is never unloaded.
        unsafe {
            let library: &'static Library = Box::leak(Box::new(Library::new(&settings.library)?));
            let voices: &'static Library = Box::leak(Box::new(Library::new(of_voice)?));
            let flite_init: unsafe extern "C" fn() -> c_int = *library.get("flite_init")?;
            let register: unsafe extern "C" fn(*const c_char) -> *mut CstVoice =
                *voices.get(format!("register_{name}"))?;
            let feat_set_float: unsafe extern "C" fn(Ptr, *const c_char, c_float) =
                *library.get("feat_set_float")?;
            let api = Api {
                flite_synth_text: *library.get("flite_synth_text")?,
                delete_utterance: *library.get("delete_utterance")?,
                utt_wave: *library.get("utt_wave")?,
                utt_relation: *library.get("utt_relation")?,
                relation_head: *library.get("relation_head")?,
                item_next: *library.get("item_next")?,
                ffeature_string: *library.get("ffeature_string")?,
                ffeature_float: *library.get("ffeature_float")?,
            };
            flite_init();
            let voice = register(ptr::null());
            let stretch = 1.0 / settings.speed;
            feat_set_float((*voice).features, c"duration_stretch".as_ptr(), stretch);
            Ok(Self { api, voice })
        }
    }

    pub fn speak(&self, text: &str) -> Result<Speech, Failed> {
        let text = CString::new(text)
            .map_err(|_| Failed::new(FailureClass::BadRequest, "a zero byte in the text"))?;
        // SAFETY: the text outlives the call, the utterance lives until it is deleted below, and
        // what is kept of it is copied before.
        unsafe {
            let utterance = (self.api.flite_synth_text)(text.as_ptr(), self.voice);
            let wave =
                if utterance.is_null() { ptr::null() } else { (self.api.utt_wave)(utterance) };
            if wave.is_null() {
                return Err(Failed::new(FailureClass::Unavailable, "flite failed to speak"));
            }
            let length = (*wave).num_samples.max(0) as usize;
            let samples = if length == 0 || (*wave).samples.is_null() {
                Vec::new()
            } else {
                slice::from_raw_parts((*wave).samples, length).to_vec()
            };
            let words = self.words(utterance);
            (self.api.delete_utterance)(utterance);
            Ok(Speech { samples, words })
        }
    }

    /// # Safety
    ///
    /// `utterance` must be one that was synthesised and not yet deleted.
    unsafe fn words(&self, utterance: Ptr) -> Vec<Word> {
        let mut words = Vec::new();
        // SAFETY: the items belong to the utterance, which lives.
        unsafe {
            let tokens = (self.api.utt_relation)(utterance, c"Token".as_ptr());
            if tokens.is_null() {
                return words;
            }
            let mut token = (self.api.relation_head)(tokens);
            while !token.is_null() {
                let name = (self.api.ffeature_string)(token, c"name".as_ptr());
                words.push(Word {
                    word: CStr::from_ptr(name).to_string_lossy().into_owned(),
                    start: (self.api.ffeature_float)(token, START.as_ptr()),
                    end: (self.api.ffeature_float)(token, END.as_ptr()),
                });
                token = (self.api.item_next)(token);
            }
        }
        words
    }
}
