//! Members from any `tower::discover::Discover`.

use std::{
    collections::HashMap,
    hash::Hash,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ahash::RandomState;
use tower::discover::{Change, Discover};

use crate::{backend::Backend, error::BoxError};

/// A discovery with its types erased but for the backend.
pub(crate) trait Source<B>: Send {
    fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Found<B>, BoxError>>>;
}

/// What discovery says, in ids.
pub(crate) struct Found<B> {
    /// This id is no member any more.
    pub(crate) lost: Option<Arc<str>>,
    /// This backend is one.
    pub(crate) found: Option<B>,
}

/// Translates a discovery's keys. A key may come again with a backend of another id, and two keys may bring the same
/// id: the later then owns it, and the earlier's removal takes nothing away.
pub(crate) struct Discovery<D: Discover> {
    discover: Pin<Box<D>>,
    ids: HashMap<D::Key, Arc<str>, RandomState>,
    owners: HashMap<Arc<str>, D::Key, RandomState>,
}

impl<D: Discover<Key: Hash + Clone>> Discovery<D> {
    pub(crate) fn new(discover: D, hashing: RandomState) -> Self {
        Self {
            discover: Box::pin(discover),
            ids: HashMap::with_hasher(hashing.clone()),
            owners: HashMap::with_hasher(hashing),
        }
    }

    /// The key's id, if it still owns it.
    fn release(&mut self, key: &D::Key) -> Option<Arc<str>> {
        let id = self.ids.remove(key)?;
        if self.owners.get(&id) != Some(key) {
            return None;
        }
        self.owners.remove(&id);
        Some(id)
    }
}

impl<D> Source<D::Service> for Discovery<D>
where
    D: Discover<Key: Hash + Clone + Send, Service: Backend, Error: Into<BoxError>> + Send,
{
    fn poll_found(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Found<D::Service>, BoxError>>> {
        self.discover.as_mut().poll_discover(cx).map(|change| {
            change.map(|change| match change.map_err(Into::into)? {
                Change::Insert(key, backend) => {
                    let id: Arc<str> = backend.id().into();
                    let lost = self.release(&key).filter(|lost| *lost != id);
                    self.owners.insert(Arc::clone(&id), key.clone());
                    self.ids.insert(key, id);
                    Ok(Found {
                        lost,
                        found: Some(backend),
                    })
                }
                Change::Remove(key) => Ok(Found {
                    lost: self.release(&key),
                    found: None,
                }),
            })
        })
    }
}
