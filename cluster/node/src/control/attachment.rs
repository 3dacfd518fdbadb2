//! A container's place on networks of the swarm, asked for by its own node: a manager decides by itself, a worker asks one.

use crate::attachments;
use crate::role::{Node, Role};
use swarmrs_core::control::network::attachment::{AttachRequest, Sighting};
use swarmrs_rpc::message::attachment::{AttachmentAnswer, AttachmentCall, Seen};
use swarmrs_types::object::Attachment;
use swarmrs_types::{AttachmentId, Code, Fault};

impl Node {
    /// Gives one of this node's containers addresses on a network, or those it has there already. Errors as
    /// [`attach`](swarmrs_core::control::network::attachment::attach) has them; on a worker also that no manager answers.
    pub async fn attach(&self, request: AttachRequest) -> Result<Attachment, Fault> {
        let answer = self.attachment(AttachmentCall::Attach(request)).await?;
        let nothing = || Fault::daemon(Code::Internal, "the manager gave no address");
        let lease = answer.lease.ok_or_else(nothing)?;
        self.0.taken.note(lease.id);
        Ok(lease)
    }

    /// Ends a lease; one that has ended is no error.
    pub async fn detach(&self, id: AttachmentId) -> Result<(), Fault> {
        let answer = self.attachment(AttachmentCall::Detach(id)).await;
        answer.map(drop)
    }

    /// Notes what is seen of a lease's container.
    pub async fn follow_attachment(
        &self,
        id: AttachmentId,
        seen: Sighting<'_>,
    ) -> Result<(), Fault> {
        let seen = Seen {
            lease: id,
            name: seen.name.to_owned(),
            active: seen.active,
            own_way_out: seen.own_way_out,
        };
        self.attachment(AttachmentCall::Follow(seen))
            .await
            .map(drop)
    }

    async fn attachment(&self, call: AttachmentCall) -> Result<AttachmentAnswer, Fault> {
        let role = self.0.role.load_full();
        match &*role {
            Role::Manager(manager) => {
                attachments::decide(&manager.desk, manager.record.node, call).await
            }
            Role::Worker(worker) => {
                // The role is not to be held while a manager thinks: it would keep the node from another.
                let way = worker.way.clone();
                drop(role);
                attachments::ask(&way, &call).await
            }
            _ => Err(self
                .require_manager()
                .err()
                .unwrap_or_else(|| Fault::manager(Code::Unavailable, "the node changes its role"))),
        }
    }
}
