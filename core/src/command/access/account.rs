//! The users that an engine knows.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::access::{DEFAULT, Passwords, User};

/// A user by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: Vec<u8>,
    /// What it may do.
    pub user: User,
}

/// All users of the cluster, as far as an engine knows.
#[derive(Clone, Debug)]
pub struct Users {
    /// By name. `default` is always there.
    accounts: Vec<Arc<Account>>,
    /// Whether anybody may not do everything, or is not `default`.
    restricted: bool,
}

impl Default for Users {
    fn default() -> Self {
        Self::new(core::iter::empty())
    }
}

impl Users {
    /// These users, and `default` as it always was unless it is among them.
    pub fn new(found: impl Iterator<Item = (Vec<u8>, User)>) -> Self {
        let mut accounts: Vec<_> =
            found.map(|(name, user)| Arc::new(Account { name, user })).collect();
        let restricted = !accounts.is_empty();
        if !accounts.iter().any(|account| account.name == DEFAULT) {
            let (name, user) = (DEFAULT.to_vec(), User::everybody());
            accounts.push(Arc::new(Account { name, user }));
        }
        accounts.sort_by(|one, other| one.name.cmp(&other.name));
        Self { accounts, restricted }
    }

    /// Whether anything ever has to be checked but the settings' password.
    #[inline]
    pub fn restricted(&self) -> bool {
        self.restricted
    }

    /// A user, by name.
    pub fn find(&self, name: &[u8]) -> Option<&Arc<Account>> {
        let by_name = |account: &Arc<Account>| account.name.as_slice().cmp(name);
        self.accounts.binary_search_by(by_name).ok().map(|at| &self.accounts[at])
    }

    /// The user that a connection has before it names another.
    pub fn default_account(&self) -> &Arc<Account> {
        self.find(DEFAULT).expect("it is always there")
    }

    /// All users, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter().map(AsRef::as_ref)
    }

    /// Whether whoever connects is let in as `default`, given the settings' password.
    #[inline]
    pub fn open(&self, password: Option<&[u8]>) -> bool {
        if !self.restricted {
            return password.is_none();
        }
        let user = &self.default_account().user;
        let free = match user.passwords() {
            Passwords::OfSettings => password.is_none(),
            Passwords::NotNeeded => true,
            Passwords::Hashes(_) => false,
        };
        free && user.enabled()
    }
}

/// A user as ACL LIST shows it.
pub fn acl_line(name: &[u8], user: &User) -> Vec<u8> {
    [b"user ", name, b" ", &user.text()].concat()
}
