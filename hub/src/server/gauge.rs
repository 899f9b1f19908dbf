//! Counts of what is open now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Debug, Default)]
pub(super) struct Gauge(Arc<AtomicU64>);

/// Counts as one until it is dropped, even when the future that holds it is cancelled.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Gauge {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> Counted {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// Counts one more, or none if there are `limit` already.
    pub(super) fn count_up_to(&self, limit: u64) -> Option<Counted> {
        let counted = self.count();
        (self.get() <= limit).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_future_is_no_longer_counted() {
        let gauge = Gauge::default();
        let session = {
            let gauge = gauge.clone();
            async move {
                let _counted = gauge.count();
                std::future::pending::<()>().await;
            }
        };
        let mut session = Box::pin(session);
        assert!(futures_poll(session.as_mut()).await.is_pending());
        assert_eq!(gauge.get(), 1);
        drop(session);
        assert_eq!(gauge.get(), 0);
    }

    async fn futures_poll<F: Future>(
        mut future: std::pin::Pin<&mut F>,
    ) -> std::task::Poll<F::Output> {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await
    }

    #[test]
    fn nothing_beyond_the_limit_is_counted() {
        let gauge = Gauge::default();
        let first = gauge.count_up_to(1);
        assert!(first.is_some() && gauge.count_up_to(1).is_none());
        assert_eq!(gauge.get(), 1);
        drop(first);
        assert!(gauge.count_up_to(1).is_some());
    }
}
