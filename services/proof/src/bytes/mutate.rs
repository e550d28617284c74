//! Inputs that are almost good ones.

use fastrand::Rng;

/// No input grows beyond this: longer than any message that is read.
const MAX_BYTES: usize = 40_000;
/// So many inputs are kept beside the examples, to be mutated again.
const POOL: usize = 64;

/// What decoders stumble over: edges of numbers, texts and lengths.
const TOKENS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"1e999",
    b"1e-400",
    b"-0.0",
    b"NaN",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"18446744073709551615",
    b"9223372036854775808",
    b"4294967295",
    b"4294967296",
    b"9007199254740993",
    b"0.1",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\x00",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x94\x8c",
    b"\n",
    b"\r\n",
    b"expect=denied:",
    b"any",
    b"#",
    b"\"session_id\":\"s1\",",
    b"\"seq\":1,",
    b"\"cp_id\":\"MAD-01\",",
    b"\"part\":4294967295,",
    b"\"parts\":4294967295,",
];

/// Gives inputs without end, the same for the same seed.
pub(super) struct Mutator {
    random: Rng,
    examples: usize,
    pool: Vec<Vec<u8>>,
}

impl Mutator {
    pub(super) fn new(seed: u64, examples: Vec<Vec<u8>>) -> Self {
        Self { random: Rng::with_seed(seed), examples: examples.len(), pool: examples }
    }

    pub(super) fn next(&mut self) -> Vec<u8> {
        // Mostly from a good example: what was spoilt before is seldom understood again.
        let fresh = if self.random.u32(..4) > 0 { self.examples } else { self.pool.len() };
        let mut input = self.random.choice(&self.pool[..fresh]).cloned().unwrap_or_default();
        for _ in 0..self.random.u32(0..5) {
            self.change(&mut input);
        }
        input.truncate(MAX_BYTES);
        // Some are kept: a second mistake on top of the first one.
        if self.pool.len() < self.examples + POOL {
            self.pool.push(input.clone());
        } else if self.random.u32(..50) == 0 {
            let at = self.random.usize(self.examples..self.pool.len());
            self.pool[at] = input.clone();
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let random = &mut self.random;
        let at = random.usize(..=input.len());
        let until = random.usize(at..=input.len().min(at + 64));
        match random.u32(..9) {
            0 if at < input.len() => input[at] ^= 1 << random.u32(..8),
            1 if at < input.len() => input[at] = random.u8(..),
            2 => input.truncate(at),
            3 => drop(input.drain(at..until)),
            4 => input.insert(at, random.u8(..)),
            5 => {
                let token = random.choice(TOKENS).copied().unwrap_or_default();
                input.splice(at..at, token.iter().copied()).for_each(drop);
            }
            6 => {
                let token = random.choice(TOKENS).copied().unwrap_or_default();
                input.splice(at..until, token.iter().copied()).for_each(drop);
            }
            7 => {
                // A part of itself again, up to many times.
                let part = input[at..until].to_vec();
                let times = 1 << random.u32(..10);
                input.splice(at..at, part.into_iter().cycle().take((until - at) * times)).for_each(drop);
            }
            _ => {
                let other = random.choice(&self.pool).cloned().unwrap_or_default();
                let from = random.usize(..=other.len());
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
