//! The table of methods: what each is called, who may call it, and how much it may say.
//!
//! Everything that is judged of a request before its body is read stands in [`TABLE`] and nowhere else.

use http::Uri;

/// One thing that a node can ask of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// The cluster's roots in PEM. Asked over a connection that proves nothing yet.
    RootCertificate,
    /// A certificate for a newcomer, against a join token.
    Issue,
    /// A new certificate for a node that has one.
    Renew,
    /// A manager with its certificate asks to be taken into the quorum.
    Join,
    /// A node says that it leaves.
    Leave,
    /// A node asks for a container's place on a network, or tells what became of one.
    Attachment,
    /// A manager tells the leader which nodes it has sessions with.
    Presence,
    /// A manager tells another how far tasks are whose nodes have their sessions with it.
    Statuses,
    /// A command for the leader to propose.
    Propose,
    /// Up to which entry a read has to wait.
    ReadIndex,
    /// A node's session with its manager.
    Session,
    /// A node brings the log lines of its tasks that its manager asked for.
    Logs,
    /// A manager asks another for the log lines of a node that has a session there.
    RelayLogs,
    RaftAppend,
    RaftVote,
    RaftSnapshot,
    RaftTransfer,
}

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Who has no certificate yet.
    Anyone,
    /// A node of the cluster, whatever its role.
    Node,
    /// A manager of the cluster.
    Manager,
}

/// What a connection is for; each kind is served on a runtime of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    General,
    /// What keeps the quorum together: never behind anything else.
    Raft,
}

/// How a method's bodies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One frame each way.
    Call,
    /// Frames both ways until one side ends it.
    Conversation,
}

/// All that is known of a method. Limits are bytes of one frame.
#[derive(Clone, Copy, Debug)]
struct Row {
    method: Method,
    name: &'static str,
    needs: Needs,
    purpose: Purpose,
    shape: Shape,
    request: usize,
    answer: usize,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

use Method as M;
use Needs::{Anyone, Manager, Node};
use Purpose::{General, Raft};
use Shape::{Call, Conversation};

/// One row per method, in the order of [`Method`].
#[rustfmt::skip]
const TABLE: [Row; 17] = [
    row(M::RootCertificate, "root-certificate", Anyone,  General, Call,         KIB,       256 * KIB),
    row(M::Issue,           "issue",            Anyone,  General, Call,         16 * KIB,  MIB),
    row(M::Renew,           "renew",            Node,    General, Call,         64 * KIB,  MIB),
    row(M::Join,            "join",             Manager, General, Call,         64 * KIB,  MIB),
    row(M::Leave,           "leave",            Node,    General, Call,         64 * KIB,  64 * KIB),
    row(M::Attachment,      "attachment",       Node,    General, Call,         64 * KIB,  64 * KIB),
    // A thousand nodes are 30 KiB of ids.
    row(M::Presence,        "presence",         Manager, General, Call,         MIB,       MIB),
    row(M::Statuses,        "statuses",         Manager, General, Call,         4 * MIB,   64 * KIB),
    // A command has at most 2 MiB (`swarmrs-store`).
    row(M::Propose,         "propose",          Manager, General, Call,         4 * MIB,   MIB),
    row(M::ReadIndex,       "read-index",       Manager, General, Call,         64 * KIB,  64 * KIB),
    // Longer messages go in parts (`session`).
    row(M::Session,         "session",          Node,    General, Conversation, MIB,       MIB),
    row(M::Logs,            "logs",             Node,    General, Conversation, MIB,       64 * KIB),
    row(M::RelayLogs,       "relay-logs",       Manager, General, Conversation, 64 * KIB,  MIB),
    // A batch of entries is some MiB, one entry at most 2.
    row(M::RaftAppend,      "raft-append",      Manager, Raft,    Call,         16 * MIB,  64 * KIB),
    row(M::RaftVote,        "raft-vote",        Manager, Raft,    Call,         64 * KIB,  64 * KIB),
    row(M::RaftSnapshot,    "raft-snapshot",    Manager, Raft,    Call,         2 * MIB,   64 * KIB),
    row(M::RaftTransfer,    "raft-transfer",    Manager, Raft,    Call,         64 * KIB,  64 * KIB),
];

const fn row(
    method: Method,
    name: &'static str,
    needs: Needs,
    purpose: Purpose,
    shape: Shape,
    request: usize,
    answer: usize,
) -> Row {
    Row {
        method,
        name,
        needs,
        purpose,
        shape,
        request,
        answer,
    }
}

// The table is in order and whole, or this crate does not compile.
const _: () = {
    let mut at = 0;
    while at < TABLE.len() {
        assert!(TABLE[at].method as usize == at);
        at += 1;
    }
    assert!(TABLE.len() == Method::RaftTransfer as usize + 1);
};

/// What stands before a method's name in a request's path. A change that old nodes could not read gets another number.
const PREFIX: &str = "/rpc/v1/";

impl Method {
    /// Every method.
    pub fn all() -> impl Iterator<Item = Method> {
        TABLE.iter().map(|row| row.method)
    }

    /// The name in the path.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Who may call it.
    pub fn needs(self) -> Needs {
        self.row().needs
    }

    /// On which connection it goes.
    pub fn purpose(self) -> Purpose {
        self.row().purpose
    }

    /// How its bodies go.
    pub fn shape(self) -> Shape {
        self.row().shape
    }

    /// The most bytes of one frame to the one that is asked.
    pub fn request_limit(self) -> usize {
        self.row().request
    }

    /// The most bytes of one frame back.
    pub fn answer_limit(self) -> usize {
        self.row().answer
    }

    pub(crate) fn path(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// Where a client sends it. The host is only a word: the connection says where it goes.
    pub(crate) fn uri(self) -> Uri {
        let text = format!("https://swarm{}", self.path());
        Uri::try_from(text).unwrap_or_default()
    }

    pub(crate) fn of_path(path: &str) -> Option<Method> {
        let name = path.strip_prefix(PREFIX)?;
        let row = TABLE.iter().find(|row| row.name == name)?;
        Some(row.method)
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_found_by_its_path() {
        for method in Method::all() {
            assert_eq!(Method::of_path(method.uri().path()), Some(method));
        }
        for path in [
            "/rpc/v1/",
            "/rpc/v2/session",
            "/rpc/v1/Session",
            "session",
            "/rpc/v1/session/",
        ] {
            assert_eq!(Method::of_path(path), None, "{path}");
        }
    }

    #[test]
    fn only_what_joining_needs_is_open_to_anyone() {
        let open: Vec<Method> = Method::all().filter(|one| one.needs() == Anyone).collect();
        assert_eq!(open, [Method::RootCertificate, Method::Issue]);
    }

    #[test]
    fn what_only_managers_may_say_is_all_that_a_worker_has_no_word_for() {
        let worker: Vec<Method> = Method::all().filter(|one| one.needs() == Node).collect();
        assert_eq!(
            worker,
            [
                Method::Renew,
                Method::Leave,
                Method::Attachment,
                Method::Session,
                Method::Logs
            ]
        );
    }
}
