//! Words of spoken English that tell whether more is to come, in lower case, without apostrophes.

/// Sounds and phrases of somebody who looks for words.
pub(super) const FILLERS: &[&str] = &[
    "um",
    "umm",
    "uh",
    "uhh",
    "uhm",
    "er",
    "erm",
    "ah",
    "hmm",
    "mm",
    "hm",
    "lemme see",
    "let me see",
    "lets see",
    "let me think",
    "let me check",
    "let me look",
    "let me find",
    "hold on",
    "hang on",
    "one moment",
    "one second",
    "one sec",
    "just a moment",
    "just a second",
    "just a sec",
    "wait",
    "wait a second",
    "you know",
    "i mean",
    "how do i say",
    "how do you say",
    "whats it called",
    "whats the word",
];

/// Words that a sentence does not end in: something has to follow.
pub(super) const DANGLING: &[&str] = &[
    // Articles and determiners.
    "a",
    "an",
    "the",
    "my",
    "your",
    "our",
    "their",
    "its",
    "every",
    "each",
    "another",
    // Conjunctions.
    "and",
    "or",
    "but",
    "because",
    "cause",
    "if",
    "unless",
    "although",
    "though",
    "while",
    "than",
    "whether",
    "so",
    "nor",
    "plus",
    "like",
    "since",
    "until",
    "till",
    // Prepositions that carry no verb.
    "of",
    "from",
    "into",
    "onto",
    "between",
    "among",
    "during",
    "without",
    "towards",
    "per",
    "via",
    "at",
    "by",
    "to",
    "with",
    "for",
    // Contractions that want a verb.
    "im",
    "id",
    "ill",
    "ive",
    "youre",
    "youve",
    "youd",
    "were",
    "weve",
    "wed",
    "theyre",
    "theyve",
    "theyd",
    "lets",
    "thats",
    "theres",
    "heres",
    "whats",
    "wheres",
    "whos",
    "hows",
    // Adverbs that want a word behind them.
    "very",
    "really",
    "quite",
    "also",
    "maybe",
    "perhaps",
    "probably",
    "especially",
    "basically",
];

/// Words that end a sentence only now and then ("sign up", "I know that").
pub(super) const LOOSE: &[&str] = &[
    "on", "in", "up", "out", "off", "over", "about", "after", "before", "around", "under", "near",
    "through", "this", "that", "these", "those", "some", "any", "his", "her", "not", "just",
    "then", "when", "where", "which", "who", "what", "how", "why", "want", "need", "get", "prefer",
    "mr", "mrs", "ms", "dr", "doctor", "mister",
];

/// Auxiliaries: complete behind a pronoun ("yes, I do"), dangling behind anything else.
pub(super) const AUXILIARIES: &[&str] = &[
    "am", "is", "are", "was", "be", "been", "do", "does", "did", "have", "has", "had", "can",
    "could", "will", "would", "should", "shall", "may", "might", "must", "isnt", "arent", "wasnt",
    "dont", "doesnt", "didnt", "cant", "couldnt", "wont", "wouldnt", "shouldnt",
];

/// Auxiliaries that, before a pronoun, begin a question that has hardly begun ("can you").
pub(super) const ASKING: &[&str] = &[
    "can", "could", "will", "would", "should", "shall", "may", "might", "must", "do", "does",
    "did", "have", "has", "had",
];

pub(super) const PRONOUNS: &[&str] =
    &["i", "you", "he", "she", "it", "we", "they", "there", "that", "this", "who"];

/// Openers that, alone, announce more.
pub(super) const OPENERS: &[&str] = &[
    "well",
    "so",
    "okay so",
    "ok so",
    "and",
    "but",
    "actually",
    "yes but",
    "yeah but",
    "no but",
    "yeah so",
    "yes so",
    "also",
    "look",
    "listen",
    "now",
    "alright so",
    "because",
    "anyway",
    "yes i",
    "no i",
    "yeah i",
    "hi i",
    "hello i",
    "hi im",
    "hello im",
];

/// Whole answers of a word or two.
pub(super) const ANSWERS: &[&str] = &[
    "yes",
    "yeah",
    "yep",
    "yup",
    "no",
    "nope",
    "nah",
    "sure",
    "of course",
    "okay",
    "ok",
    "correct",
    "right",
    "exactly",
    "thats right",
    "thats correct",
    "that is correct",
    "absolutely",
    "definitely",
    "yes please",
    "no thanks",
    "no thank you",
    "please",
    "fine",
    "great",
    "perfect",
    "sounds good",
    "thats it",
    "thats all",
    "nothing",
    "nothing else",
    "none",
    "never",
    "i do",
    "i dont",
    "i dont know",
    "not sure",
    "im not sure",
    "not really",
    "neither",
    "both",
];

pub(super) const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "hi there",
    "hello there",
    "good morning",
    "good afternoon",
    "good evening",
    "thanks",
    "thank you",
    "thank you very much",
    "thanks a lot",
    "bye",
    "goodbye",
    "bye bye",
    "good bye",
    "see you",
];

/// How English questions begin.
pub(super) const QUESTION_OPENERS: &[&str] = &[
    "what", "whats", "where", "wheres", "when", "whens", "who", "whos", "which", "why", "how",
    "hows", "can", "could", "do", "does", "did", "is", "are", "was", "will", "would", "should",
    "may", "have", "has",
];

pub(super) const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// What may follow the last "dot" of an address.
pub(super) const TOP_LEVEL_DOMAINS: &[&str] = &[
    "com", "org", "net", "edu", "gov", "io", "co", "ai", "app", "dev", "info", "biz", "us", "uk",
    "ca", "au", "de", "fr", "eu", "ch", "nl", "me", "in", "es", "it",
];

/// Whether `phrase` occurs among `words`, which have one space between them.
pub(super) fn has_phrase(words: &str, phrase: &str) -> bool {
    words.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (&words[..at], &words[at + phrase.len()..]);
        (before.is_empty() || before.ends_with(' ')) && (after.is_empty() || after.starts_with(' '))
    })
}

/// Digits as they are spoken.
pub(super) fn digits_of(word: &str) -> Option<usize> {
    const ONES: &[&str] =
        &["zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    const TWO_DIGITS: &[&str] = &[
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
    ];
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) {
        return Some(word.len());
    }
    if ONES.contains(&word) {
        return Some(1);
    }
    if TWO_DIGITS.contains(&word) {
        return Some(2);
    }
    // "double five", "triple zero": the word itself counts what it adds.
    match word {
        "double" => Some(1),
        "triple" | "hundred" => Some(2),
        "thousand" => Some(3),
        _ => None,
    }
}
