//! How text is cut: what a document asks for, and what the voice can take.

/// Longest chunk, unless told otherwise: what voices with limits take, with room to spare.
const CHUNK_CHARS_MAX: usize = 250;

/// How the text of a call is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPlan {
    pub chunking: Chunking,
    /// Longest chunk, in characters.
    pub chars_max: usize,
}

/// Where chunks end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunking {
    /// Between any two words: the voice decides itself how much it speaks at once.
    Words,
    /// At the end of each sentence.
    Sentences,
    /// Early at first, then at the ends of sentences. What the document sets holds for the first
    /// chunk, too.
    Planned {
        /// Shortest chunk, in characters.
        chars_min: Option<usize>,
        /// The only punctuation, apart from line breaks, that a chunk may end with.
        boundaries: Option<Vec<String>>,
    },
}

impl Default for ChunkPlan {
    fn default() -> Self {
        let chunking = Chunking::Planned { chars_min: None, boundaries: None };
        Self { chunking, chars_max: CHUNK_CHARS_MAX }
    }
}

impl ChunkPlan {
    /// Whether `<flush />` in the text hands over what is before it.
    pub fn has_flush_tokens(&self) -> bool {
        matches!(self.chunking, Chunking::Planned { .. })
    }
}

/// Whether a list of the contract's boundaries has this character, or the one that it is a form of.
pub(super) fn is_boundary(boundaries: &[String], c: char) -> bool {
    let form = match c {
        '\n' => return true,
        '！' => '!',
        '？' => '?',
        '…' => '.',
        '｡' => '。',
        '、' => '，',
        '；' => ';',
        '：' => ':',
        c => c,
    };
    // `||` stands for a double bar, whose second one ends it.
    boundaries.iter().any(|boundary| boundary.ends_with(form))
}

/// The length of the token `<flush />` that a text begins with, in bytes, in any of its spellings
/// (Vapi's page "Flush syntax").
pub(super) fn flush_token(text: &str) -> Option<usize> {
    let slash = |text: &'_ str| text.strip_prefix('/').unwrap_or(text).trim_start().len();
    let tail = |length: usize| &text[text.len() - length..];
    let rest = text.strip_prefix('<')?.trim_start();
    let rest = tail(slash(rest));
    let (name, rest) = rest.split_at_checked("flush".len())?;
    let rest = tail(slash(rest.trim_start()));
    let end = rest.strip_prefix('>')?;
    name.eq_ignore_ascii_case("flush").then_some(text.len() - end.len())
}
