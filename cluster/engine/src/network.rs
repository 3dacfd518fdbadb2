//! The engine's own networks, as raw JSON: who makes one knows its driver's options better than a model would.

use bollard::Docker;
use bollard::models::NetworkDisconnectRequest;
use serde_json::Value;

use crate::call::{Call, segment};
use crate::client::Engine;
use crate::container::Created;
use crate::error::Error;
use crate::filter::Filters;
use crate::raw;

impl Engine {
    pub async fn list_networks(&self, filters: &Filters) -> Result<Vec<Value>, Error> {
        let call = Call::get("/networks").query("filters", &filters.json());
        Ok(raw::list(self.json(&call, self.limits().read).await?))
    }

    /// By id or name.
    pub async fn inspect_network(&self, network: &str) -> Result<Value, Error> {
        self.json(
            &Call::get(format!("/networks/{}", segment(network))),
            self.limits().read,
        )
        .await
    }

    /// Creates a network from the Engine API's JSON body. Engines up to 24 allow two of one name unless the body says
    /// `CheckDuplicate`.
    pub async fn create_network(&self, config: &Value) -> Result<Created, Error> {
        let call = Call::post("/networks/create").body(config);
        let answer = self.json(&call, self.limits().write).await?;
        Created::from_raw(&answer, &call)
    }

    /// One that containers use is refused.
    pub async fn remove_network(&self, network: &str) -> Result<(), Error> {
        let path = &segment(network);
        let remove = move |docker: Docker| async move { docker.remove_network(path).await };
        self.ask("remove network", self.limits().write, remove)
            .await
    }

    /// `endpoint` is the body's `EndpointConfig`.
    pub async fn connect_network(
        &self,
        network: &str,
        container: &str,
        endpoint: &Value,
    ) -> Result<(), Error> {
        let body = serde_json::json!({"Container": container, "EndpointConfig": endpoint});
        let call = Call::post(format!("/networks/{}/connect", segment(network))).body(&body);
        self.json(&call, self.limits().write).await?;
        Ok(())
    }

    /// With `force` also a container that the engine has lost.
    pub async fn disconnect_network(
        &self,
        network: &str,
        container: &str,
        force: bool,
    ) -> Result<(), Error> {
        let path = &segment(network);
        let disconnect = move |docker: Docker| async move {
            let container = container.to_owned();
            docker
                .disconnect_network(
                    path,
                    NetworkDisconnectRequest {
                        container,
                        force: Some(force),
                    },
                )
                .await
        };
        self.ask("disconnect network", self.limits().write, disconnect)
            .await
    }
}
