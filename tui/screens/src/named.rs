//! Enums whose variants have names.

macro_rules! named {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident: $method:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $name:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $enum {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $enum {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn $method(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}
