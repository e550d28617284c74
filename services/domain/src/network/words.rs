//! Enums that are words on the wire or on disk, each with its word beside it: one list for both.

macro_rules! words {
    ($(#[$of:meta])* $kind:ident: $($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $($(#[$doc])* $name,)*
        }

        impl $kind {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

pub(super) use words;
