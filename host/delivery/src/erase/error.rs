//! Why an erasure is refused or cannot be completed.

use std::path::PathBuf;

use super::list::ListLoss;

/// Why an erasure is refused or cannot be completed. No error holds a person number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// Persons may still be subscribed, so that they would be delivered again.
    #[error(
        "nothing was erased: {count} of the persons may still be subscribed in agreement {agreement}, because no receipt (997) \
         has ended them, so CPR would deliver them again. Remove their filter first (`cprflow subscription remove`) and \
         wait for the receipts. If no filter brings them any more, run the command again with --not-subscribed"
    )]
    Subscribed {
        /// The agreement's name.
        agreement: String,
        /// The number of persons.
        count: usize,
    },

    /// The ledger is lost, so it is not known what was published.
    #[error(
        "nothing was erased: {state} has no ledger, but there are extracts or published tables. Run `cprflow sync` first: it makes \
         the ledger again. If the state directory is elsewhere, correct the configuration",
        state = state.display()
    )]
    NoLedger {
        /// The state directory.
        state: PathBuf,
    },

    /// No run has kept or published anything.
    #[error(
        "nothing was erased: no state directory of the configuration has a ledger, so nothing was ever kept, and the erasure would \
         be forgotten. Run `cprflow sync` first"
    )]
    NothingKept,

    /// The list of the subscription has persons who are to be erased.
    #[error(
        "nothing was erased: the subscription of agreement {agreement} names {count} of the persons in {path}. Remove them from \
         the list, apply it (`cprflow subscription apply`), and run the command again",
        path = path.display()
    )]
    Listed {
        /// The agreement's name.
        agreement: String,
        /// The list.
        path: PathBuf,
        /// The number of persons.
        count: usize,
    },

    /// The agreement is still configured, so that its deliveries would come again.
    #[error(
        "nothing was erased: agreement {agreement} is still in the configuration, so its next delivery would be published. \
         Remove [agreement.{agreement}] and add the name to ended_agreements, and run the command again"
    )]
    AgreementConfigured {
        /// The agreement's name.
        agreement: String,
    },

    /// No such agreement has ended.
    #[error(
        "nothing was erased: agreement {agreement} is not in ended_agreements. Check the name; `cprflow status` lists the \
         agreements"
    )]
    AgreementUnknown {
        /// The agreement's name.
        agreement: String,
    },

    /// Persons cannot be told apart in an extract.
    #[error(
        "nothing was erased: the extract of agreement {agreement} from {production_date} cannot be rewritten: {reason}. Order a \
         new full load (`cprflow subscription reorder`), or erase the whole agreement"
    )]
    NotSeparable {
        /// The agreement's name.
        agreement: String,
        /// The day that orders the extract, `YYYY-MM-DD`.
        production_date: String,
        /// Why the component refused.
        reason: String,
    },

    /// The file of an order cannot be read.
    #[error(
        "{path} is no order of an erasure. Restore it from a backup. Without a backup, remove it and run `cprflow erase` again",
        path = path.display()
    )]
    DamagedOrder {
        /// The file.
        path: PathBuf,
    },

    /// The list of erased persons or its key is lost, so that erased persons could come back.
    #[error(
        "cprflow cannot tell who was erased: {path} {loss}. Nothing is read or published, because erased persons could come \
         back. Put back the newest erasures and erasures.key, from a copy or with `cprflow restore`. Without a copy, run \
         `cprflow erase --numbers FILE --list-lost` with everybody who was erased before",
        path = path.display()
    )]
    ListLost {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        loss: ListLoss,
    },

    /// An older erasure could not be completed.
    #[error(
        "nothing was erased now, because an older erasure must be completed first, in {state}: {older}. Then run this \
         command again",
        state = state.display()
    )]
    Unfinished {
        /// The state directory.
        state: PathBuf,
        /// The older erasure, what stops it, and how to end that.
        older: String,
    },

    /// A directory in which the ledger has a delivery has data that was made for somebody else.
    #[error(
        "{path} has {found}, but the ledger has a delivery of {expected} there. It can be the only copy, so nothing is erased \
         while it is there. Put the right directory back. If that is lost, move this one out of the dataset. Then run \
         `cprflow erase` again, or `cprflow sync` if the erasure has begun",
        path = path.display()
    )]
    MadeForOthers {
        /// The directory.
        path: PathBuf,
        /// What is in it, by its manifest.
        found: String,
        /// The agreement of the delivery, and its tenant.
        expected: String,
    },
}
