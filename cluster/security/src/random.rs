//! Random bytes, always straight from the kernel: keys and secrets have no other source.

use crate::Error;
use zeroize::Zeroizing;

/// Draws `N` random bytes. They are wiped when dropped, as nearly all of them become a secret.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(Error::Random)?;
    Ok(bytes)
}
