//! Locks, shared pointers and atomic numbers of this crate: those of parking_lot, arc-swap and the standard library, or under
//! `--cfg shuttle` those of shuttle, which runs tests in many orders of their threads ([docs/simulator.md](../../../docs/simulator.md)).
//!
//! A lock that is held over another lock or one of these numbers must come from here: shuttle runs all threads of a test on one, and a lock
//! that it does not know would stop them all. Counters that decide nothing are those of the standard library everywhere.
//!
//! Bounds: none.

#[cfg(not(all(shuttle, test)))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};

    pub(crate) use arc_swap::{ArcSwap, Guard};
    pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
}

/// The same types in front of shuttle's, as far as this crate uses them.
#[cfg(all(shuttle, test))]
mod shuttled {
    use std::ops::Deref;
    use std::sync::Arc;

    use shuttle::sync;
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};
    pub(crate) use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap()
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap()
        }
    }

    #[derive(Debug)]
    pub(crate) struct ArcSwap<T>(sync::Mutex<Arc<T>>);

    pub(crate) struct Guard<T>(T);

    impl<T> ArcSwap<T> {
        pub(crate) fn from_pointee(value: T) -> Self {
            Self(sync::Mutex::new(Arc::new(value)))
        }

        pub(crate) fn load(&self) -> Guard<Arc<T>> {
            Guard(self.load_full())
        }

        pub(crate) fn load_full(&self) -> Arc<T> {
            Arc::clone(&self.0.lock().unwrap())
        }

        pub(crate) fn store(&self, value: Arc<T>) {
            *self.0.lock().unwrap() = value;
        }
    }

    impl<T: Default> Default for ArcSwap<T> {
        fn default() -> Self {
            Self::from_pointee(T::default())
        }
    }

    impl<T> Deref for Guard<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

#[cfg(not(all(shuttle, test)))]
pub(crate) use real::*;
#[cfg(all(shuttle, test))]
pub(crate) use shuttled::*;
