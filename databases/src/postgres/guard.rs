//! What stands between a PostgreSQL and the driver: it looks at the frame of every message before the driver takes it in.
//!
//! The driver believes what a server says of lengths, gathers rows and notices as long as they come, and waits for ever. A
//! server that breaks the bounds is stopped here: in its place the guard says an error of its own, in the words of the
//! protocol, so that whoever waits for the answer gets it as any other error of the server, and ends the connection.
//!
//! Rows of COPY come a message each, and the driver pays for each message about what decoding the row costs. Where messages begin in
//! that stream means nothing, so the guard puts them together.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};
use tokio_util::io::poll_read_buf;

use crate::pace::Pace;

/// SQLSTATE of an answer that breaks the protocol.
pub(super) const VIOLATION: &str = "08P01";
/// SQLSTATE of a connection that was given up.
pub(super) const GIVEN_UP: &str = "08006";

const HEADER: usize = 5;
/// Messages other than rows: an error with its text, the description of 1,600 columns.
const LARGEST_OTHER: usize = 1024 * 1024;
/// A message up to this size is handed on once all of it is there, so that it is never cut off in the middle.
const WHOLE: usize = 64 * 1024;
/// Notices, parameters and notifications in one answer.
const MOST_ASIDE: usize = 10_000;
/// Messages of one answer that are neither rows nor such.
const MOST_OTHER: usize = 1_000_000;
/// What the rows of one answer may take, COPY aside, which is streamed.
const LARGEST_ANSWER: usize = 192 * 1024 * 1024;
/// What the driver needs for a row beside its bytes, roughly.
const ROW: usize = 160;
/// Requests of ours that may be on their way together.
const REQUESTS: usize = 8;
const CHUNK: usize = 64 * 1024;
/// Messages of COPY are put together up to this size.
const TOGETHER: usize = 32 * 1024;

/// How large a row of COPY may be; shared by the connections of a pool.
#[derive(Clone, Debug)]
pub(super) struct RowLimit(Arc<AtomicUsize>);

impl RowLimit {
    /// For cells of this size.
    pub(super) fn new(max_cell: usize) -> Self {
        let limit = RowLimit(Arc::default());
        limit.allow(max_cell);
        limit
    }

    /// Lets in rows with cells of this size: twice as much, so that a row may have two of them, or one that is refused
    /// with its key.
    pub(super) fn allow(&self, max_cell: usize) {
        self.0.fetch_max(max_cell.saturating_mul(2).saturating_add(LARGEST_OTHER), Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the bytes are that come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The one byte that answers the question for TLS.
    Offer,
    /// Messages.
    Messages,
    /// TLS, with a guard of its own above it.
    Aside,
    /// The connection was given up.
    Over,
}

/// A guarded stream.
#[derive(Debug)]
pub(super) struct Guard<S> {
    inner: S,
    stage: Stage,
    limit: RowLimit,
    /// What came; the first `ready` bytes of it may be handed on, and the next `gone` are of no use any more.
    raw: BytesMut,
    ready: usize,
    gone: usize,
    /// What is still to come of a message that is handed on in pieces.
    rest: usize,
    aside: usize,
    other: usize,
    answer: usize,
    /// Whether the login still goes on.
    starts: bool,
    /// Requests that the server has not answered to the end.
    requests: usize,
    /// Whether rows go to the server.
    copying: bool,
    outgoing: Outgoing,
    read: Pace,
    write: Pace,
}

/// Where the next message of ours begins in what we send.
#[derive(Debug, Default)]
struct Outgoing {
    header: Vec<u8>,
    rest: usize,
}

impl<S> Guard<S> {
    /// Guards a stream of messages; `silence` is how long an answer may take without a byte.
    pub(super) fn new(inner: S, limit: RowLimit, silence: Duration) -> Self {
        Guard {
            inner,
            stage: Stage::Messages,
            limit,
            raw: BytesMut::new(),
            ready: 0,
            gone: 0,
            rest: 0,
            aside: 0,
            other: 0,
            answer: 0,
            starts: true,
            requests: 0,
            copying: false,
            outgoing: Outgoing::default(),
            read: Pace::new(silence),
            write: Pace::new(silence),
        }
    }

    /// The same, where TLS is asked for first.
    pub(super) fn before_tls(inner: S, limit: RowLimit, silence: Duration) -> Self {
        Guard { stage: Stage::Offer, ..Guard::new(inner, limit, silence) }
    }

    /// Lets TLS pass, which is guarded above; gives what a guard there needs.
    pub(super) fn stand_aside(&mut self) -> (RowLimit, Duration) {
        self.stage = Stage::Aside;
        (self.limit.clone(), self.read.silence())
    }

    /// Looks at what came as far as it can be judged.
    fn judge(&mut self) -> Result<(), &'static str> {
        // Where a message of COPY begins that the next one may join.
        let mut open: Option<usize> = None;
        loop {
            let fresh = self.raw.get(self.ready + self.gone..).unwrap_or_default();
            if self.rest > 0 {
                let now = self.rest.min(fresh.len());
                self.rest -= now;
                self.let_pass(now);
                if now == 0 {
                    return Ok(());
                }
                continue;
            }
            let [tag, a, b, c, d, ..] = *fresh else { return Ok(()) };
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let largest = match tag {
                b'D' | b'd' => self.limit.get(),
                b'1' | b'2' | b'3' | b'A' | b'C' | b'c' | b'E' | b'G' | b'H' | b'I' | b'K' | b'n' | b'N' | b'R'
                | b'S' | b's' | b't' | b'T' | b'v' | b'W' | b'Z' => LARGEST_OTHER,
                _ => return Err("what listens there does not speak as a PostgreSQL does"),
            };
            if length < 4 {
                return Err("the server sent a message that is shorter than its own length");
            }
            if length > largest {
                return Err(
                    "the server announced a message larger than any may be (--max-cell sets how large a cell is)",
                );
            }
            let whole = length.saturating_add(1);
            if whole <= WHOLE && fresh.len() < whole {
                return Ok(());
            }
            self.count(tag, length)?;
            if whole > WHOLE || tag != b'd' {
                open = None;
                self.rest = whole;
                continue;
            }
            match open.filter(|start| self.ready - start + length <= TOGETHER) {
                Some(start) => {
                    self.gone += HEADER;
                    self.let_pass(whole - HEADER);
                    let joined = u32::try_from(self.ready - start - 1).unwrap_or(u32::MAX).to_be_bytes();
                    if let Some(place) = self.raw.get_mut(start + 1..start + HEADER) {
                        place.copy_from_slice(&joined);
                    }
                }
                None => {
                    open = Some(self.ready);
                    self.let_pass(whole);
                }
            }
        }
    }

    /// Lets the next so many bytes be handed on.
    fn let_pass(&mut self, bytes: usize) {
        if self.gone > 0 {
            let from = self.ready + self.gone;
            self.raw.copy_within(from..from + bytes, self.ready);
        }
        self.ready += bytes;
    }

    fn count(&mut self, tag: u8, length: usize) -> Result<(), &'static str> {
        match tag {
            b'd' => {}
            b'D' => {
                self.answer = self.answer.saturating_add(length + ROW);
                if self.answer > LARGEST_ANSWER {
                    return Err("the server sent more rows than the answer can have");
                }
            }
            b'N' | b'A' | b'S' => {
                self.aside += 1;
                if self.aside > MOST_ASIDE {
                    return Err("the server sent notices without end");
                }
            }
            b'Z' => {
                (self.aside, self.other, self.answer, self.starts, self.copying) = (0, 0, 0, false, false);
                self.requests = self.requests.saturating_sub(1);
                self.read.begin();
            }
            tag => {
                if tag == b'G' {
                    self.copying = true;
                    // The end of the request was sent with it, and a server that takes rows passes over it.
                    self.requests = self.requests.saturating_sub(1);
                }
                self.other += 1;
                if self.other > MOST_OTHER {
                    return Err("the server sent an answer without end");
                }
            }
        }
        Ok(())
    }

    /// Gives the connection up: what may be handed on is, then comes an error in the server's place, then nothing.
    fn give_up(&mut self, code: &str, says: &str) -> io::Result<()> {
        self.stage = Stage::Over;
        if self.rest > 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, says.to_owned()));
        }
        self.raw.truncate(self.ready);
        self.gone = 0;
        let mut fields = BytesMut::new();
        for (field, text) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', code), (b'M', says)] {
            fields.put_u8(field);
            fields.put_slice(text.as_bytes());
            fields.put_u8(0);
        }
        fields.put_u8(0);
        // Once for each request that may wait for its answer: the closing of a statement before may be one of them.
        for _ in 0..REQUESTS {
            self.raw.put_u8(b'E');
            self.raw.put_u32(u32::try_from(fields.len() + 4).unwrap_or(u32::MAX));
            self.raw.put_slice(&fields);
            self.raw.put_slice(b"Z\0\0\0\x05I");
        }
        self.ready = self.raw.len();
        Ok(())
    }

    /// Whether the server owes us something. While we send rows it says nothing, and owes nothing.
    fn waits(&self) -> bool {
        self.starts || (self.requests > 0 && !self.copying)
    }

    /// Looks at what we send: each request ends with a message to which the server says that it is ready.
    fn sent(&mut self, mut bytes: &[u8]) {
        self.read.begin();
        self.write.begin();
        // The first messages have a shape of their own.
        while !self.starts && !bytes.is_empty() {
            let now = self.outgoing.rest.min(bytes.len());
            bytes = bytes.get(now..).unwrap_or_default();
            self.outgoing.rest -= now;
            if self.outgoing.rest > 0 {
                return;
            }
            let missing = (HEADER - self.outgoing.header.len()).min(bytes.len());
            self.outgoing.header.extend_from_slice(bytes.get(..missing).unwrap_or_default());
            bytes = bytes.get(missing..).unwrap_or_default();
            if let [tag, a, b, c, d] = *self.outgoing.header {
                self.outgoing.rest = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0).saturating_sub(4);
                self.outgoing.header.clear();
                match tag {
                    b'S' | b'Q' => self.requests += 1,
                    b'c' | b'f' => self.copying = false,
                    _ => {}
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.stage == Stage::Aside {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        if this.stage == Stage::Offer {
            let mut offer = [0; 1];
            let mut one = ReadBuf::new(&mut offer);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut one))?;
            buf.put_slice(one.filled());
            this.stage = Stage::Messages;
            return Poll::Ready(Ok(()));
        }
        loop {
            if this.ready > 0 {
                let now = this.ready.min(buf.remaining());
                buf.put_slice(this.raw.get(..now).unwrap_or_default());
                this.raw.advance(now);
                this.ready -= now;
                if this.ready == 0 {
                    this.raw.advance(std::mem::take(&mut this.gone));
                }
                return Poll::Ready(Ok(()));
            }
            if this.stage == Stage::Over {
                return Poll::Ready(Ok(()));
            }
            this.raw.reserve(CHUNK);
            let polled = poll_read_buf(Pin::new(&mut this.inner), cx, &mut this.raw);
            let stall = match polled {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // What is left is half a message; the driver says that the connection is closed.
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(came)) => {
                    let stall = if this.waits() { this.read.arrived(came) } else { None };
                    if let Err(says) = this.judge() {
                        this.give_up(VIOLATION, says)?;
                    }
                    stall
                }
                Poll::Pending if this.waits() => this.read.waits(cx),
                Poll::Pending => None,
            };
            match (stall, polled) {
                (Some(stall), _) if this.stage != Stage::Over => {
                    let says = format!("the server {}", stall.says(this.read.silence()));
                    this.give_up(GIVEN_UP, &says)?;
                }
                (_, Poll::Pending) => return Poll::Pending,
                _ => {}
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.inner).poll_write(cx, buf);
        match polled {
            Poll::Ready(Ok(sent)) if this.stage == Stage::Messages => {
                let idle = !this.waits();
                this.sent(buf.get(..sent).unwrap_or_default());
                if idle && this.waits() {
                    // The driver reads before it writes: it has to look again, so that the waiting is timed.
                    cx.waker().wake_by_ref();
                }
                Poll::Ready(Ok(sent))
            }
            Poll::Pending if this.stage == Stage::Messages => match this.write.waits(cx) {
                Some(_) => {
                    let says = format!("the server has taken nothing for {} s", this.write.silence().as_secs());
                    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, says)))
                }
                None => Poll::Pending,
            },
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> TlsStream for Guard<postgres_openssl::TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn channel_binding(&self) -> ChannelBinding {
        self.inner.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a driver is given of what a server sends in pieces.
    async fn given(sent: &[u8], pieces: usize) -> Vec<u8> {
        let (ours, mut server) = tokio::io::duplex(pieces.max(1));
        let mut guard = Guard::new(ours, RowLimit::new(1024), Duration::from_secs(5));
        let mut given = Vec::new();
        let send = async {
            server.write_all(sent).await.unwrap();
            drop(server);
        };
        let ((), read) = futures::join!(send, guard.read_to_end(&mut given));
        read.unwrap();
        given
    }

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    /// The messages, with those of COPY that follow on each other as one; and how long the longest of these was.
    fn told(mut bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, usize) {
        let (mut all, mut longest) = (Vec::<(u8, Vec<u8>)>::new(), 0);
        while let [tag, a, b, c, d, rest @ ..] = bytes {
            let (body, after) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4);
            match all.last_mut() {
                Some((b'd', joined)) if *tag == b'd' => joined.extend_from_slice(body),
                _ => all.push((*tag, body.to_vec())),
            }
            longest = longest.max(if *tag == b'd' { body.len() } else { 0 });
            bytes = after;
        }
        assert!(bytes.is_empty());
        (all, longest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn messages_of_copy_are_put_together_and_nothing_else_happens(
            messages in prop::collection::vec((prop::sample::select(&b"dddddSZ"[..]), 0usize..9_000, any::<u8>()), 0..60),
            large in prop::option::of(60_000usize..200_000),
            pieces in 1usize..100_000,
        ) {
            let large = large.map(|length| message(b'd', &vec![7; length]));
            let small = messages.iter().map(|(tag, length, fill)| message(*tag, &vec![*fill; *length]));
            let sent = small.chain(large.clone()).collect::<Vec<_>>().concat();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let given = runtime.block_on(given(&sent, pieces));
            let (expected, before) = told(&sent);
            let (found, longest) = told(&given);
            prop_assert_eq!(found, expected);
            prop_assert!(longest <= before.max(TOGETHER));
        }
    }

    #[tokio::test]
    async fn rows_become_few_messages() {
        let sent = message(b'd', &[1; 200]).repeat(1_000);
        let given = given(&sent, 1 << 20).await;
        let messages = given.len() - 1_000 * 200;
        assert!(messages <= 5 * 8, "{messages} bytes of headers");
    }
}
