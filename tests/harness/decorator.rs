//! Stores around another store: written down is only what they do otherwise.

use milepost::attempt::BoxFuture;
use milepost::store::{Store, StoreError};

/// A store that hands on what it is asked: [`hand_on!`](crate::hand_on) writes the methods that do nothing else.
pub trait Decorator {
    /// The store inside.
    fn inner(&self) -> &dyn Store;

    /// Lets the store inside make a change, which has not begun yet.
    fn change<'a, T: Send + 'a>(
        &'a self,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        change
    }

    /// Reads from the store inside.
    ///
    /// # Errors
    /// What the store inside says.
    fn read<T>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        read(self.inner())
    }
}

/// Methods of `impl Store` for a [`Decorator`](crate::decorator::Decorator), from their arguments and answers.
#[macro_export]
macro_rules! hand_on {
    (change: $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        fn $name<'a>(&'a self, $($argument: $type),*) -> BoxFuture<'a, Result<$answer, StoreError>> {
            self.change(self.inner().$name($($argument),*))
        }
    )*};
    (read: $($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
            self.read(|store| store.$name($($argument),*))
        }
    )*};
}
