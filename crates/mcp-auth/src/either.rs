use std::sync::Arc;

use crate::{AccessToken, TokenError, TokenVerifier};

/// One of two verifiers, chosen when the server starts: signatures or introspection, say.
///
/// It is not one after the other: what the chosen one says is final.
#[derive(Clone, Debug)]
pub enum Either<A, B> {
    /// The first is asked.
    Left(A),
    /// The second is asked.
    Right(B),
}

impl<A: TokenVerifier, B: TokenVerifier> TokenVerifier for Either<A, B> {
    async fn verify(&self, token: &str) -> Result<Arc<AccessToken>, TokenError> {
        match self {
            Self::Left(verifier) => verifier.verify(token).await,
            Self::Right(verifier) => verifier.verify(token).await,
        }
    }

    fn remembered(&self, token: &str) -> Option<Arc<AccessToken>> {
        match self {
            Self::Left(verifier) => verifier.remembered(token),
            Self::Right(verifier) => verifier.remembered(token),
        }
    }

    #[cfg(feature = "remote")]
    fn provider(&self) -> Option<crate::ProviderStatus> {
        match self {
            Self::Left(verifier) => verifier.provider(),
            Self::Right(verifier) => verifier.provider(),
        }
    }

    fn epoch(&self) -> u64 {
        match self {
            Self::Left(verifier) => verifier.epoch(),
            Self::Right(verifier) => verifier.epoch(),
        }
    }
}
