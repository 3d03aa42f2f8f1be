//! One connection to the process in a pod.

use super::Databases;
use super::address::Address;
use super::levels::Levels;
use super::member::{Deed, Member};
use super::trouble::Mishap;
use super::view::View;

/// What a process answers from: its database, and who it is itself.
#[derive(Clone)]
pub(super) struct Asker {
    databases: Databases,
    address: Address,
    pod: String,
    uid: String,
}

/// A database now, and which of its members is asked.
pub(super) struct Asked {
    pub view: View,
    pub me: Member,
}

impl Asker {
    pub fn new(databases: Databases, address: Address, pod: &str, uid: String) -> Self {
        Self { databases, address, pod: pod.to_owned(), uid }
    }

    /// How things are now; `None` once the process is gone.
    pub fn look(&self) -> Option<Asked> {
        let view = self.databases.view(&self.address)?;
        let me = view.member(&self.pod).filter(|member| member.uid == self.uid && member.running)?.clone();
        Some(Asked { view, me })
    }

    /// As [`Asker::look`], for a question, after which a restless leader moves.
    pub fn ask(&self) -> Option<Asked> {
        let asked = self.look()?;
        self.databases.now().asked(&self.address);
        Some(asked)
    }

    /// Whether these are the credentials of the database.
    pub fn accepts(&self, user: &str, password: &str) -> bool {
        let rejects = self.look().is_none_or(|asked| asked.view.rejects(&self.pod));
        let known = self.databases.credentials(&self.address);
        !rejects && known.is_some_and(|(name, secret)| name == user && secret == password)
    }

    /// These features are in force from now on.
    pub fn finalize(&self, levels: Levels) {
        self.databases.now().finalize(&self.address, levels);
    }

    /// What is to happen to the request for a change of features that has come, and to no later one.
    pub fn mishap(&self) -> Option<Mishap> {
        self.databases.now().take_mishap()
    }

    /// The process is told to do something.
    pub fn obey(&self, deed: Deed) {
        self.databases.now().obey(&self.address, &self.pod, deed);
    }
}
