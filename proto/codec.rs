//! How messages become bytes on a stream: as tonic's own codec does it, with buffers that suit small messages.

use prost::Message;
use std::marker::PhantomData;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// What a stream, or a call, has in each direction from its beginning on (bytes). A report or an order is smaller, and
/// what is larger gets more; by itself tonic takes 8 KiB, which tens of thousands of streams keep for a report each.
const BUFFER: usize = 512;
/// So much is encoded before it is handed over (bytes): tonic's own.
const HANDED_OVER: usize = 32 * 1024;

/// Of who sends `T` and gets `U`.
#[derive(Debug)]
pub(crate) struct Frugal<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Frugal<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Frugal<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(BUFFER, HANDED_OVER))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(BUFFER, HANDED_OVER))
    }
}
