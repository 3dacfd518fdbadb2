//! The engine's volumes, as raw JSON.

use bollard::Docker;
use bollard::query_parameters::RemoveVolumeOptions;
use serde_json::Value;

use crate::call::{Call, segment};
use crate::client::Engine;
use crate::error::Error;
use crate::filter::Filters;
use crate::raw;

impl Engine {
    pub async fn list_volumes(&self, filters: &Filters) -> Result<Vec<Value>, Error> {
        let call = Call::get("/volumes").query("filters", &filters.json());
        let mut answer = self.json(&call, self.limits().read).await?;
        Ok(raw::list(answer["Volumes"].take()))
    }

    pub async fn inspect_volume(&self, name: &str) -> Result<Value, Error> {
        self.json(
            &Call::get(format!("/volumes/{}", segment(name))),
            self.limits().read,
        )
        .await
    }

    /// Creates a volume from the Engine API's JSON body; the same body again is answered with the volume that is there.
    pub async fn create_volume(&self, config: &Value) -> Result<Value, Error> {
        self.json(
            &Call::post("/volumes/create").body(config),
            self.limits().write,
        )
        .await
    }

    /// One that containers use is a conflict.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<(), Error> {
        let path = &segment(name);
        let remove = move |docker: Docker| async move {
            docker
                .remove_volume(path, Some(RemoveVolumeOptions { force }))
                .await
        };
        self.ask("remove volume", self.limits().write, remove).await
    }
}
