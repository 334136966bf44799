//! One line for two who take turns on it: tiberius, and the [fast road](super::wire).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::Line;

/// A line that several hold. Who reads or writes next is theirs to settle: between two answers nothing is on it.
#[derive(Clone, Debug)]
pub(super) struct SharedLine(Arc<Mutex<Line>>);

impl SharedLine {
    pub(super) fn new(line: Line) -> Self {
        SharedLine(Arc::new(Mutex::new(line)))
    }

    /// From here on what the server says is kept.
    pub(super) fn listen(&self) {
        self.line().heard = Some(Vec::new());
    }

    /// What the server said since.
    pub(super) fn heard(&self) -> Vec<u8> {
        self.line().heard.take().unwrap_or_default()
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for SharedLine {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.line()).poll_read(cx, buf)
    }
}

impl AsyncWrite for SharedLine {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.line()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.line()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.line()).poll_shutdown(cx)
    }
}
