//! The plane as the holder's carrier.

use async_trait::async_trait;

use crate::holder::carrier::Settings;
use crate::holder::{Carrier, Opener};

/// Opens planes.
#[derive(Debug, Default)]
pub struct Planes;

#[async_trait]
impl Opener for Planes {
    async fn open(&self, _: &Settings) -> Result<Box<dyn Carrier>, String> {
        Err("this release carries no packets yet".to_owned())
    }
}
