//! What somebody is given who is enrolled, or renewed.

/// Somebody's certificate, for its owner.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) chain: String,
    pub(crate) core: String,
    pub(crate) network: String,
}

impl Credentials {
    /// Is it of the authority that signs now? That is the first of the network's.
    pub(crate) fn is_current(&self) -> bool {
        let signs = self.network.split_inclusive("-----END CERTIFICATE-----").next();
        signs.is_some_and(|signs| self.chain.trim_end().ends_with(signs))
    }
}
