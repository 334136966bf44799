//! Reading ahead: the next chunk is made while somebody works the last one off.

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::Error;
use crate::source::ChunkStream;

/// The same chunks, read by a task of their own that is a chunk ahead. Nothing is read before the stream is polled, and nothing
/// more once it is dropped.
pub(crate) fn ahead(mut chunks: ChunkStream) -> ChunkStream {
    let begin = async move {
        let (sender, receiver) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(chunk) = chunks.next().await {
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
        });
        stream::unfold(Some((receiver, task)), async |state| {
            let (mut receiver, mut task) = state?;
            match receiver.recv().await {
                Some(chunk) => Some((chunk, Some((receiver, task)))),
                // A task that ended by a mistake of ours must not look like the end of the rows.
                None => match task.join_next().await {
                    Some(Err(cause)) => Some((Err(Error::failed("reading broke off").caused_by(cause)), None)),
                    _ => None,
                },
            }
        })
    };
    Box::pin(stream::once(begin).flatten())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::source::Chunk;
    use arrow::record_batch::RecordBatch;

    fn chunk() -> Chunk {
        RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty())).into()
    }

    #[tokio::test]
    async fn all_come_and_no_more_is_read_than_a_chunk_or_two() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let chunks = stream::iter(0..100).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(chunk())
        });
        let mut read = ahead(Box::pin(chunks));
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert!(read.next().await.is_some());
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!((2..=4).contains(&made.load(Ordering::Relaxed)), "{made:?}");
        assert_eq!(read.count().await, 99);
    }

    #[tokio::test]
    async fn a_task_that_breaks_down_is_no_end() {
        let chunks = stream::iter(0..3).map(|n| if n < 2 { Ok(chunk()) } else { panic!("as ordered") });
        let read: Vec<_> = ahead(Box::pin(chunks)).collect().await;
        assert_eq!(read.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    }
}
